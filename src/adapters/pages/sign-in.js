import { enter, isSignedIn, nextPath, onChangeElsewhere } from './account.js';
import { find, handleSubmit, showNotice } from './form.js';

const next = nextPath();
showNotice({
  ended: 'Your session has ended. Please sign in again.',
  'signed-out': 'You have signed out.',
  everywhere: 'You have signed out everywhere.',
  deleted: 'Your account has been deleted.',
});
for (const link of document.querySelectorAll('[data-keeps-next]')) {
  if (link instanceof HTMLAnchorElement) link.search = location.search;
}
onChangeElsewhere((signedInElsewhere) => {
  if (signedInElsewhere) location.replace(next);
});
handleSubmit(find('main form', HTMLFormElement), async ({ email, password }) => {
  await enter('/login', { email, password });
  location.replace(next);
});
if (await isSignedIn()) location.replace(next);
