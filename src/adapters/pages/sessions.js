import { ask, forget, goToSignIn, Refusal, SessionOver } from './account.js';
import { deviceName } from './device.js';
import { describeFault, find, handleSubmit, openPage, setTime } from './form.js';

/**
 * @typedef {{ id: string, device: string | null, date_created: string, last_used: string,
 *   expires: string, current: boolean }} Session
 */

const list = find('#sessions', HTMLElement);
const template = find('#session', HTMLTemplateElement);
const doneMessage = find('#done', HTMLElement);
const failureMessage = find('#failure', HTMLElement);
const onlySession = find('#alone', HTMLElement);

await openPage(async () => {
  const sessions = /** @type {Session[]} */ (await ask('GET', '/sessions'));
  sessions.sort(
    (a, b) => Number(b.current) - Number(a.current) || b.last_used.localeCompare(a.last_used),
  );
  list.replaceChildren(...sessions.map(createItem));
  onlySession.hidden = sessions.length > 1;
  handleSubmit(find('#everywhere', HTMLFormElement), async () => {
    await ask('POST', '/logout-all');
    forget();
    goToSignIn('everywhere');
  });
});

/** @param {Session} session */
function createItem(session) {
  const { id, device, current } = session;
  const item = find('li', HTMLLIElement, document.importNode(template.content, true));
  const name = find('bdi', HTMLElement, item);
  name.textContent = deviceName(device);
  name.id = `device-${id}`;
  if (device) name.title = device;
  find('.here', HTMLElement, item).hidden = !current;
  const style = /** @type {const} */ ({ dateStyle: 'medium', timeStyle: 'short' });
  setTime(find('.used', HTMLTimeElement, item), session.last_used, style);
  setTime(find('.made', HTMLTimeElement, item), session.date_created, style);
  setTime(find('.ends', HTMLTimeElement, item), session.expires, { dateStyle: 'medium' });
  const button = find('button', HTMLButtonElement, item);
  button.setAttribute('aria-describedby', name.id);
  if (current) button.remove();
  button.addEventListener('click', () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    void endSession(item, session).finally(() => button.setAttribute('aria-disabled', 'false'));
  });
  return item;
}

/**
 * @param {HTMLLIElement} item
 * @param {Session} session
 */
async function endSession(item, { id, device }) {
  doneMessage.hidden = true;
  failureMessage.hidden = true;
  try {
    await ask('DELETE', `/sessions/${encodeURIComponent(id)}`);
  } catch (fault) {
    if (fault instanceof SessionOver) return goToSignIn(fault.ended ? 'ended' : undefined);
    const isGone = fault instanceof Refusal && fault.status === 404;
    if (!isGone) return showMessage(failureMessage, describeFault(fault, ''));
  }
  item.remove();
  onlySession.hidden = list.children.length > 1;
  return showMessage(doneMessage, `Signed out: ${deviceName(device)}`);
}

/**
 * @param {HTMLElement} element
 * @param {string} words
 */
function showMessage(element, words) {
  element.hidden = false;
  element.textContent = words;
  element.focus();
}
