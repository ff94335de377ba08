import { enter, nextPath, onChangeElsewhere } from './account.js';
import { find, handleSubmit } from './form.js';

const next = nextPath();
for (const link of document.querySelectorAll('[data-keeps-next]')) {
  if (link instanceof HTMLAnchorElement) link.search = location.search;
}
onChangeElsewhere((signedInElsewhere) => {
  if (signedInElsewhere) location.replace(next);
});
handleSubmit(find('main form', HTMLFormElement), async (fields) => {
  await enter('/register', fields);
  location.replace(next);
});
