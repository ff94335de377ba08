/** Every endpoint, asked again and again by those who have what it takes; and how long each lets them wait. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Call, call, registered } from '../support/service.ts';

/** Of one endpoint. */
export interface Waiting {
  readonly endpoint: string;
  /** Milliseconds of the slowest answer. */
  readonly slowest: number;
  /** Answers with its documented 500. */
  readonly failed: number;
  /** Answers that no fault of a database explains: no JSON, another 500, no answer at all. */
  readonly wrong: readonly string[];
}

/** Somebody for one endpoint alone: what it does to them must not keep another from its work. */
interface Person {
  readonly email: string;
  readonly tokens: { readonly access_token: string; readonly refresh_token: string };
}

const PASSWORD = 'correct horse';
/** How many ask each endpoint at once: all of them together are more than there are connections. */
const AT_ONCE = 2;
/** Milliseconds after which an answer is no longer waited for. */
const PATIENCE = 15_000;
let people = 0;

const newEmail = () => `person.${(people += 1)}@example.com`;

/** Whether an email is of somebody who asks here, and of none of the recorded clients. */
export function isForeign(email: string): boolean {
  return email.startsWith('person.');
}

const REQUESTS: Readonly<Record<string, (person: Person) => Call>> = {
  'POST /register': () => {
    const email = newEmail();
    return { json: { username: email, email, password: PASSWORD, confirm_password: PASSWORD } };
  },
  'POST /login': ({ email }) => ({ json: { email, password: PASSWORD } }),
  'POST /refresh': ({ tokens }) => ({ json: { refresh_token: tokens.refresh_token } }),
  'GET /protected': ({ tokens }) => ({ token: tokens.access_token }),
  'GET /users': () => ({}),
  'POST /logout': ({ tokens }) => ({ json: { refresh_token: tokens.refresh_token } }),
  'POST /logout-all': ({ tokens }) => ({ token: tokens.access_token }),
  'GET /sessions': ({ tokens }) => ({ token: tokens.access_token }),
  'DELETE /sessions/nobody': ({ tokens }) => ({ token: tokens.access_token }),
  'POST /password': ({ tokens }) => ({
    token: tokens.access_token,
    json: { current_password: PASSWORD, password: PASSWORD, confirm_password: PASSWORD },
  }),
  'GET /account': ({ tokens }) => ({ token: tokens.access_token }),
  'DELETE /account': ({ tokens }) => ({ token: tokens.access_token, json: { password: PASSWORD } }),
};

export const ENDPOINTS: readonly string[] = Object.keys(REQUESTS);

/**
 * Registers people for it, does what `silence` does, asks every endpoint for so many ms, and waits for
 * the last answer, however late.
 */
export async function askEveryEndpoint(
  url: string,
  silence: () => void,
  milliseconds: number,
): Promise<readonly Waiting[]> {
  const asked = await Promise.all(
    ENDPOINTS.map(async (endpoint) => {
      const email = newEmail();
      return { endpoint, person: { email, tokens: await registered(url, { email }) } };
    }),
  );
  silence();
  const until = performance.now() + milliseconds;
  return Promise.all(
    asked.map(async ({ endpoint, person }) => {
      const times: number[] = [];
      const wrong: string[] = [];
      let failed = 0;
      const one = async () => {
        while (performance.now() < until) {
          const started = performance.now();
          const answer = await ask(url, endpoint, REQUESTS[endpoint]?.(person) ?? {});
          times.push(performance.now() - started);
          if (answer === FAILURE[endpoint] || answer === FAILURE.others) failed += 1;
          else if (!/^(?:2|401|404|429|400 .*Email already)/.test(answer)) wrong.push(answer);
          // What needs no database is answered at once.
          await sleep(20);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
      return { endpoint, slowest: Math.max(...times), failed, wrong };
    }),
  );
}

const FAILURE: Readonly<Record<string, string>> & { readonly others: string } = {
  'POST /register': '500 {"message":"Database error occurred. Please try again."}',
  others: '500 {"message":"An error occurred"}',
};

async function ask(url: string, endpoint: string, sent: Call): Promise<string> {
  // No connection of a client is to be among those that are counted afterwards.
  const headers = { Connection: 'close', 'X-Forwarded-For': `10.9.${people % 256}.1` };
  const answer = call(url, endpoint, { ...sent, headers }).then(
    ({ status, text }) => `${status} ${text}`,
    (error: unknown) => String(error),
  );
  const patience = new AbortController();
  const late = sleep(PATIENCE, 'no answer', { signal: patience.signal }).catch(() => '');
  const first = await Promise.race([answer, late]);
  patience.abort();
  return first;
}
