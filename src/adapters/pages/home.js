import { find, openPage, setTime, showNotice } from './form.js';

await openPage((user) => {
  showNotice({ password: 'Password changed. Every other session has ended.' });
  const name = document.createElement('bdi'); // A username may be in a right-to-left script.
  name.textContent = user.username;
  find('#greeting', HTMLElement).replaceChildren('Hello, ', name);
  find('#username bdi', HTMLElement).textContent = user.username;
  find('#email bdi', HTMLElement).textContent = user.email;
  setTime(find('#since', HTMLTimeElement), user.date_created, { dateStyle: 'long' });
});
