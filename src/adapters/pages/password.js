import { ask, goTo } from './account.js';
import { find, openPage, sendsBy } from './form.js';

await openPage((user) => {
  const form = find('main form', HTMLFormElement);
  // For password managers: whose password it is.
  find('[name=username]', HTMLInputElement, form).value = user.email;
  sendsBy(form, async ({ current_password, password, confirm_password }) => {
    await ask('POST', '/password', { current_password, password, confirm_password });
    goTo('/account', 'password');
  });
});
