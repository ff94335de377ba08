import { ask, goTo } from './account.js';
import { find, handleSubmit, openPage } from './form.js';

await openPage((user) => {
  const form = find('main form', HTMLFormElement);
  // Tells password managers which account the password belongs to.
  find('[name=username]', HTMLInputElement, form).value = user.email;
  handleSubmit(form, async ({ current_password, password, confirm_password }) => {
    await ask('POST', '/password', { current_password, password, confirm_password });
    goTo('/account', 'password');
  });
});
