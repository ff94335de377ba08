import { ask, forget, goToSignIn } from './account.js';
import { find, handleSubmit, Incomplete, openPage } from './form.js';

await openPage((user) => {
  const form = find('main form', HTMLFormElement);
  find('[name=username]', HTMLInputElement, form).value = user.email;
  find('#who', HTMLElement).textContent = user.email;
  handleSubmit(form, async ({ password, confirm }) => {
    if (!password) throw new Incomplete('password', 'Enter your password');
    if (!confirm) throw new Incomplete('confirm', 'Tick the box to confirm');
    await ask('DELETE', '/account', { password });
    forget();
    goToSignIn('deleted');
  });
});
