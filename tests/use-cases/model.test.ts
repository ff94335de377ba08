import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type EmbeddedAuth,
  AuthError,
  type AuthErrorCode,
  createAuth,
  defaultPolicy,
  isWithin,
  type ListedSession,
  type User,
} from '../../src/application/index.ts';
import { noAttempts } from '../../src/adapters/memory/memory-repositories.ts';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import { FixedClock } from '../../src/testing/index.ts';
import { outcome } from '../support/expect.ts';
import { ACCESS_TOKEN_TTL, fakePorts, REFRESH_TOKEN_TTL, withMethods } from '../support/fakes.ts';
import {
  isAvailable,
  type Repositories,
  STORE_NAMES,
  withRepositories,
} from '../support/stores.ts';

// Random sequences of everything that a user can do, held step by step against a model that says in
// a few lines what must come of each. A failure shrinks to the shortest sequence that shows it.

const GRACE = 10;
const LEEWAY = 5;
const PASSWORDS = ['password one', 'password two', 'password three'] as const;
const PEOPLE = ['ada', 'bob', 'eve'] as const;

interface Person {
  readonly id: number;
  password: string;
  deleted: boolean;
  disabled: boolean;
}

interface Session {
  readonly id: string;
  readonly person: Person;
  readonly expires: Date;
  ended: boolean;
  current: RefreshToken | undefined;
  previous: RefreshToken | undefined;
  rotated: Date | undefined;
}

interface Token {
  readonly text: string;
  readonly session: Session;
  readonly from: number;
  readonly until: number;
}
type AccessToken = Token & { readonly kind: 'access' };
type RefreshToken = Token & { readonly kind: 'refresh' };

/** What must be so. */
class Model {
  readonly people = new Map<string, Person>();
  readonly everybody: Person[] = [];
  readonly sessions: Session[] = [];
  readonly accessTokens: AccessToken[] = [];
  readonly refreshTokens: RefreshToken[] = [];
  steps = 0;
}

/** What is so. */
interface Real {
  readonly auth: EmbeddedAuth;
  readonly clock: FixedClock;
  readonly rotation: boolean;
  /** Keeps the addresses of a run apart from those of others in the same store. */
  readonly run: string;
}

type Step = fc.AsyncCommand<Model, Real>;

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function isValid({ from, until }: Token, now: Date): boolean {
  return seconds(now) < until && from <= seconds(now) + LEEWAY;
}

function lives(session: Session, now: Date): boolean {
  return !session.ended && !session.person.deleted && session.expires > now;
}

/** What every bearer of an access token is told before anything else; undefined: go on. */
function refusal(token: AccessToken, now: Date): AuthErrorCode | undefined {
  if (!isValid(token, now)) return 'invalid_access_token';
  const { deleted, disabled } = token.session.person;
  if (deleted) return 'user_not_found';
  return disabled ? 'invalid_access_token' : undefined;
}

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list[index % Math.max(1, list.length)];
}

/** A command from its name and what it does; `undefined` arguments of a run count as not applicable. */
function step(name: string, run: (model: Model, real: Real) => Promise<void>): Step {
  return {
    check: () => true,
    async run(model, real) {
      model.steps += 1;
      await run(model, real);
    },
    toString: () => name,
  };
}

async function began(
  model: Model,
  { auth, clock }: Real,
  person: Person,
  tokens: { readonly accessToken: string; readonly refreshToken: string },
): Promise<void> {
  const now = clock.now();
  const { user, sessionId } = await auth.authorize(tokens);
  assert.is(user.id, person.id, 'the token is its own user’s');
  const expires = new Date(now.getTime() + REFRESH_TOKEN_TTL * 1000);
  const session: Session = {
    id: sessionId,
    person,
    expires,
    ended: false,
    current: undefined,
    previous: undefined,
    rotated: undefined,
  };
  model.sessions.push(session);
  issuedAccess(model, session, tokens.accessToken, now);
  const [from, until] = [seconds(now), seconds(expires)];
  session.current = { kind: 'refresh', text: tokens.refreshToken, session, from, until };
  model.refreshTokens.push(session.current);
}

function issuedAccess(model: Model, session: Session, text: string, now: Date): void {
  const [from, until] = [seconds(now), seconds(now) + ACCESS_TOKEN_TTL];
  model.accessTokens.push({ kind: 'access', text, session, from, until });
}

const register = (name: string, password: string) =>
  step(`register(${name}, ${password})`, async (model, real) => {
    const email = `${name}-${real.run}@example.com`;
    const given = { username: name, email, password, confirmPassword: password };
    const result = await outcome(real.auth.registerUser(given));
    if (model.people.has(name)) {
      assert.is(result, 'email_taken');
      return;
    }
    if (typeof result === 'string') throw new Error(`registration: ${result}`);
    assert.ok(
      model.everybody.every(({ id }) => id !== result.user.id),
      'no id is given twice',
    );
    const person = { id: result.user.id, password, deleted: false, disabled: false };
    model.people.set(name, person);
    model.everybody.push(person);
    await began(model, real, person, result);
  });

const login = (name: string, password: string) =>
  step(`login(${name}, ${password})`, async (model, real) => {
    const email = ` ${name.toUpperCase()}-${real.run}@Example.com`;
    const result = await outcome(real.auth.login({ email, password }));
    const person = model.people.get(name);
    if (person?.password !== password || person.disabled) {
      assert.is(result, 'invalid_credentials');
      return;
    }
    if (typeof result === 'string') throw new Error(`login: ${result}`);
    await began(model, real, person, result);
  });

const authorize = (index: number) =>
  step(`authorize(${index})`, async (model, { auth, clock }) => {
    const token = pick(model.accessTokens, index);
    if (token === undefined) return;
    const result = await outcome(auth.authorize({ accessToken: token.text }));
    const refused = refusal(token, clock.now());
    if (refused) assert.is(result, refused);
    else assert.is((result as { user: User }).user.id, token.session.person.id);
  });

const refresh = (index: number) =>
  step(`refresh(${index})`, async (model, { auth, clock, rotation }) => {
    const token = pick(model.refreshTokens, index);
    if (token === undefined) return;
    const now = clock.now();
    const { session } = token;
    const result = await outcome(auth.refreshToken({ refreshToken: token.text }));
    if (!isValid(token, now)) {
      assert.is(result, 'invalid_refresh_token');
      return;
    }
    if (session.person.deleted) {
      assert.is(result, 'user_not_found');
      return;
    }
    const isCurrent = session.current === token;
    const isRetry =
      session.previous === token &&
      session.rotated !== undefined &&
      isWithin(GRACE, session.rotated, now);
    if (!lives(session, now) || (rotation ? !isCurrent && !isRetry : !isCurrent)) {
      assert.is(result, 'invalid_refresh_token');
      // What was reused has ended its session; what had expired has not.
      if (rotation && lives(session, now)) session.ended = true;
      return;
    }
    if (typeof result === 'string') throw new Error(`refresh: ${result}`);
    issuedAccess(model, session, result.accessToken, now);
    if (!rotation) {
      assert.is(result.refreshToken, undefined);
    } else if (isRetry && !isCurrent) {
      assert.is(result.refreshToken, session.current?.text, 'a retry gets the same successor');
    } else {
      const text = result.refreshToken ?? '';
      const until = Math.min(seconds(session.expires), seconds(now) + REFRESH_TOKEN_TTL);
      const successor: RefreshToken = { kind: 'refresh', text, session, from: seconds(now), until };
      assert.is.not(text, token.text);
      Object.assign(session, { current: successor, previous: token, rotated: now });
      model.refreshTokens.push(successor);
    }
  });

const logout = (index: number) =>
  step(`logout(${index})`, async (model, { auth }) => {
    const token = pick(model.refreshTokens, index);
    if (token === undefined) return;
    await auth.logout({ refreshToken: token.text });
    // Whatever the clock makes of the token or the session: it can be set back.
    token.session.ended = true;
  });

const logoutAll = (index: number) =>
  step(`logoutAll(${index})`, async (model, { auth, clock }) => {
    const token = pick(model.accessTokens, index);
    if (token === undefined) return;
    const result = await outcome(auth.logoutAll({ accessToken: token.text }));
    const refused = refusal(token, clock.now());
    assert.is(result, refused);
    if (refused === undefined) endSessions(model, token.session.person);
  });

function endSessions(model: Model, person: Person, keep?: Session): void {
  for (const session of model.sessions) {
    if (session.person === person && session !== keep) session.ended = true;
  }
}

const endSession = (index: number, which: number) =>
  step(`endSession(${index}, ${which})`, async (model, { auth, clock }) => {
    const token = pick(model.accessTokens, index);
    const session = pick(model.sessions, which);
    if (token === undefined || session === undefined) return;
    const given = { accessToken: token.text, sessionId: session.id };
    const result = await outcome(auth.endSession(given));
    const now = clock.now();
    const refused = refusal(token, now);
    const isOwn = session.person === token.session.person;
    const isFound = isOwn && lives(session, now);
    assert.is(result, refused ?? (isFound ? undefined : 'session_not_found'));
    if (refused === undefined && isOwn) session.ended = true;
  });

const listSessions = (index: number) =>
  step(`listSessions(${index})`, async (model, { auth, clock }) => {
    const token = pick(model.accessTokens, index);
    if (token === undefined) return;
    const now = clock.now();
    const result = await outcome(auth.listSessions({ accessToken: token.text }));
    const refused = refusal(token, now);
    if (refused) {
      assert.is(result, refused);
      return;
    }
    const { person, id: asking } = token.session;
    const own = model.sessions.filter((each) => each.person === person && lives(each, now));
    const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);
    const listed = result as readonly ListedSession[];
    assert.equal(
      listed.map(({ id, current, expires }) => ({ id, current, expires })).toSorted(byId),
      own.map(({ id, expires }) => ({ id, current: id === asking, expires })).toSorted(byId),
    );
  });

const changePassword = (index: number, currentPassword: string, password: string) =>
  step(
    `changePassword(${index}, ${currentPassword}, ${password})`,
    async (model, { auth, clock }) => {
      const token = pick(model.accessTokens, index);
      if (token === undefined) return;
      const change = { currentPassword, password, confirmPassword: password };
      const result = await outcome(auth.changePassword({ accessToken: token.text, ...change }));
      const { person } = token.session;
      const right = person.password === currentPassword;
      const refused = refusal(token, clock.now()) ?? (right ? undefined : 'wrong_password');
      assert.is(result, refused);
      if (refused !== undefined) return;
      person.password = password;
      endSessions(model, person, token.session);
    },
  );

const deleteAccount = (index: number, password: string) =>
  step(`deleteAccount(${index}, ${password})`, async (model, { auth, clock }) => {
    const token = pick(model.accessTokens, index);
    if (token === undefined) return;
    const result = await outcome(auth.deleteAccount({ accessToken: token.text, password }));
    const { person } = token.session;
    const right = person.password === password;
    const refused = refusal(token, clock.now()) ?? (right ? undefined : 'wrong_password');
    assert.is(result, refused);
    if (refused !== undefined) return;
    person.deleted = true;
    for (const [name, each] of model.people) if (each === person) model.people.delete(name);
  });

/** What whoever runs the service does with a user, or is told where there is none. */
const administer = (
  name: string,
  what: string,
  ask: (auth: EmbeddedAuth, userId: number) => Promise<unknown>,
  then: (model: Model, person: Person) => void,
) =>
  step(`${what}(${name})`, async (model, { auth }) => {
    const person = model.people.get(name) ?? model.everybody.find(({ deleted }) => deleted);
    if (person === undefined) return;
    const result = await outcome(ask(auth, person.id));
    if (person.deleted) {
      assert.is(result, 'user_not_found');
      return;
    }
    assert.not.type(result, 'string', String(result));
    then(model, person);
  });

const disable = (name: string) =>
  administer(
    name,
    'disableUser',
    (auth, userId) => auth.disableUser({ userId }),
    (model, person) => {
      person.disabled = true;
      endSessions(model, person);
    },
  );

const enable = (name: string) =>
  administer(
    name,
    'enableUser',
    (auth, userId) => auth.enableUser({ userId }),
    (model, person) => {
      person.disabled = false;
      endSessions(model, person);
    },
  );

const setPassword = (name: string, password: string) =>
  administer(
    name,
    `setPassword(${password})`,
    (auth, userId) => auth.setPassword({ userId, password }),
    (model, person) => {
      person.password = password;
      endSessions(model, person);
    },
  );

const deleteUser = (name: string) =>
  administer(
    name,
    'deleteUser',
    (auth, userId) => auth.deleteUser({ userId }),
    (model, person) => {
      person.deleted = true;
      model.people.delete(name);
    },
  );

const listUsers = () =>
  step('listUsers()', async (model, { auth, run }) => {
    for (const name of PEOPLE) {
      const { pages } = await auth.listUsers({ email: `${name}-${run}@example.com` });
      const found: object[] = [];
      for await (const page of pages)
        found.push(...page.map(({ id, disabled }) => ({ id, disabled })));
      const person = model.people.get(name);
      assert.equal(found, person ? [{ id: person.id, disabled: person.disabled }] : []);
    }
  });

const prune = () =>
  step('prune()', async (model, { auth, clock }) => {
    await auth.pruneExpired({ limit: 10_000 });
    const now = clock.now();
    for (const session of model.sessions) if (session.expires <= now) session.ended = true;
  });

const jump = (by: number) =>
  step(`jump(${by} s)`, async (_, { clock }) => {
    clock.advance(by);
  });

const index = fc.nat({ max: 40 });
const name = fc.constantFrom(...PEOPLE);
const password = fc.constantFrom(...PASSWORDS);
const JUMPS = [1, 5, 9, 10, 11, 60, 899, 900, 86_400, REFRESH_TOKEN_TTL, -1, -6, -3_600, -86_400];

const STEPS = [
  fc.tuple(name, password).map((args) => register(...args)),
  fc.tuple(name, password).map((args) => login(...args)),
  fc.tuple(name, password).map((args) => login(...args)),
  index.map(authorize),
  index.map(refresh),
  index.map(refresh),
  index.map(refresh),
  index.map(logout),
  index.map(logoutAll),
  fc.tuple(index, index).map((args) => endSession(...args)),
  index.map(listSessions),
  fc.tuple(index, password, password).map((args) => changePassword(...args)),
  fc.tuple(index, password).map((args) => deleteAccount(...args)),
  // Each as often as any other step: what only two of them in a row show is found in a few runs.
  name.map(disable),
  name.map(enable),
  fc.tuple(name, password).map((args) => setPassword(...args)),
  name.map(deleteUser),
  fc.constant(listUsers()),
  fc.constant(prune()),
  fc.constantFrom(...JUMPS).map(jump),
];

let runs = 0;

/** The property that the use cases on these repositories behave as the model, and its steps so far. */
function modelled(repositories: () => Repositories, rotation: boolean) {
  const count = { steps: 0, failedAt: 0 };
  const property = fc.asyncProperty(
    fc.commands(STEPS, { maxCommands: 60, size: 'max' }),
    async (commands) => {
      runs += 1;
      // Ids must not come again in a store that several runs share.
      const run = `${process.pid}-${runs}`;
      let last = 0;
      const ids = { next: () => `${run}-${(last += 1)}` };
      const clock = new FixedClock();
      // Steps are no attacks: limits on attempts have their own tests.
      const ports = { ...fakePorts(), ...repositories(), attempts: noAttempts, clock, ids };
      const auth = createAuth(ports, { ...defaultPolicy, refreshRotation: rotation });
      const model = new Model();
      try {
        await fc.asyncModelRun(() => ({ model, real: { auth, clock, rotation, run } }), commands);
      } catch (error) {
        count.failedAt ||= count.steps + model.steps;
        throw error;
      } finally {
        count.steps += model.steps;
      }
    },
  );
  return { property, count };
}

const model = suite('The use cases behave as the model');

for (const store of STORE_NAMES) {
  for (const rotation of [false, true]) {
    const title = `on ${store}, with rotation ${rotation ? 'on' : 'off'}`;
    const numRuns = store === 'memory' ? 300 : 40;
    const test = () =>
      withRepositories(store, async (repositories) => {
        const { property, count } = modelled(() => repositories, rotation);
        await fc.assert(property, { numRuns });
        assert.ok(count.steps > numRuns * 10, `only ${count.steps} steps`);
        console.log(`${title}: ${count.steps} steps`);
      });
    if (isAvailable(store)) model(title, test);
    else model.skip(title, test);
  }
}

/** Faults that the model must find, each in a part that is otherwise sound. */
const PLANTED: readonly {
  readonly name: string;
  readonly rotation: boolean;
  readonly plant: (sound: Repositories) => Partial<Repositories>;
}[] = [
  {
    name: 'a reused refresh token is refused, but its session lives on',
    rotation: true,
    plant: ({ sessions }) => ({
      sessions: withMethods(sessions, {
        async rotate(rotation) {
          const session = await sessions.find(rotation.sessionId);
          const result = await sessions.rotate(rotation);
          if (result.kind === 'reused' && session) {
            for (let v = 0; v < 9 && !(await sessions.insert(session, v)); v += 1);
          }
          return result;
        },
      }),
    }),
  },
  {
    name: 'a replaced refresh token is good for an hour',
    rotation: true,
    plant: ({ sessions }) => ({
      sessions: withMethods(sessions, {
        rotate: (rotation) => sessions.rotate({ ...rotation, grace: 3_600 }),
      }),
    }),
  },
  {
    name: 'a changed password leaves the other sessions',
    rotation: false,
    plant: ({ users, sessions }) => ({
      users: withMethods(users, {
        async changePassword(change) {
          const others = await sessions.list(change.userId, new Date(0));
          const changed = await users.changePassword(change);
          for (const other of others) {
            if (changed && other.id !== change.keep) {
              await sessions.insert(other, (change.version ?? 0) + 1);
            }
          }
          return changed;
        },
      }),
    }),
  },
  {
    name: 'a disabled user has their sessions again when they are enabled',
    rotation: false,
    plant: ({ users, sessions }) => ({
      users: withMethods(users, {
        async setDisabled(id, disabled) {
          const all = await sessions.list(id, new Date(0));
          const is = await users.setDisabled(id, disabled);
          for (const each of all) {
            for (let v = 0; v < 30 && !(await sessions.insert(each, v)); v += 1);
          }
          return is;
        },
      }),
    }),
  },
  {
    name: 'a password that is set leaves the user disabled no longer',
    rotation: false,
    plant: ({ users }) => ({
      users: withMethods(users, {
        async changePassword(change) {
          const changed = await users.changePassword(change);
          if (change.version === undefined) await users.setDisabled(change.userId, false);
          return changed;
        },
      }),
    }),
  },
  {
    name: 'logging out everywhere forgets one',
    rotation: false,
    plant: ({ sessions }) => ({
      sessions: withMethods(sessions, {
        async removeAll(userId) {
          const [, ...others] = await sessions.list(userId, new Date(0));
          for (const { id } of others) await sessions.remove(id, userId, new Date(0));
        },
      }),
    }),
  },
  {
    name: 'anybody can end any session',
    rotation: false,
    plant: ({ sessions }) => ({
      sessions: withMethods(sessions, {
        async remove(id, _, now) {
          return sessions.remove(id, (await sessions.find(id))?.userId ?? 0, now);
        },
      }),
    }),
  },
  {
    name: 'a deleted account keeps its address taken',
    rotation: false,
    plant: ({ users }) => {
      const gone = new Set<string>();
      return {
        users: withMethods(users, {
          async delete(id, version) {
            const user = await users.findById(id);
            if (user) gone.add(user.email);
            return users.delete(id, version);
          },
          async insert(account, session) {
            if (gone.has(account.email)) throw new AuthError('email_taken');
            return users.insert(account, session);
          },
        }),
      };
    },
  },
];

const planted = suite('The model finds');

for (const { name: bug, rotation, plant } of PLANTED) {
  planted(`that ${bug}`, async () => {
    const repositories = () => {
      const sound = memoryRepositories();
      return { ...sound, ...plant(sound) };
    };
    const { property, count } = modelled(repositories, rotation);
    const seen = await fc.check(property, { numRuns: 1_000 });
    assert.ok(seen.failed, 'not found in 1,000 runs');
    const [shortest] = seen.counterexample ?? [];
    const text = fc.stringify(shortest);
    const steps = text.split('),').length;
    console.log(`${bug}: at step ${count.failedAt}, shrunk to ${text}`);
    assert.ok(steps < 30, text);
  });
}

model.run();
planted.run();
