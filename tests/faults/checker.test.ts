import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { check, type Evidence, type Rule } from './checker.ts';
import { type Action, type Entry, type Identity, type Outcome, usernameOf } from './history.ts';

const it = suite('The checker of histories');

const ADA = 'ada@example.com';
const TAKEN = 'Email already registered. Please try with different email.';
const ONE: Identity = { userId: '1', sessionId: 'one' };
const OTHER: Identity = { userId: '1', sessionId: 'other' };
const TWO: Identity = { userId: '2', sessionId: 'two' };

const created = (granted = ONE): Outcome => ({
  status: 201,
  message: 'User created successfully',
  granted,
});
const signedIn = (granted: Identity): Outcome => ({
  status: 200,
  message: 'Login successful',
  granted,
});
const greeted = (email = ADA): Outcome => ({
  status: 200,
  message: `Hello, ${usernameOf(email)}. This is a protected route.`,
});
const refreshed = (granted = ONE): Outcome => ({ status: 200, message: '', granted });
const taken: Outcome = { status: 400, message: TAKEN };
const wrongPassword: Outcome = { status: 401, message: 'Invalid email or password' };
const notFound: Outcome = { status: 404, message: 'User not found' };
const deleted: Outcome = { status: 204, message: '' };
const failed: Outcome = { status: 500, message: 'An error occurred' };
const notRegistered: Outcome = {
  status: 500,
  message: 'Database error occurred. Please try again.',
};
const reset: Outcome = { fault: 'ECONNRESET' };
const refused: Outcome = { fault: 'ECONNREFUSED' };

type Times = readonly [start: number, end: number];
type More = Partial<Pick<Entry, 'email' | 'owner' | 'presented'>>;

function entry(action: Action, [start, end]: Times, outcome: Outcome, more: More = {}): Entry {
  const isBearer = action !== 'register' && action !== 'login';
  const presented = isBearer && { presented: ONE };
  return { action, email: ADA, owner: 1, ...presented, start, end, outcome, ...more };
}

const REGISTERED = entry('register', [0, 10], created());
/** After the tables were read. */
const PROOF = entry('login', [900, 910], signedIn({ userId: '1', sessionId: 'proof' }));
const EMPTY = { users: [], sessions: [] };
const ADA_ALONE = {
  users: [{ id: '1', email: ADA }],
  sessions: [
    { id: 'one', userId: '1' },
    { id: 'other', userId: '1' },
  ],
};
const ADA_AS_TWO = {
  users: [{ id: '2', email: ADA }],
  sessions: [{ id: 'two', userId: '2' }],
};

/** A registered account that is there at the end, and signs in, beside what is given. */
function rulesBroken(evidence: Partial<Evidence>): readonly Rule[] {
  const clean = { entries: [REGISTERED], contents: ADA_ALONE, proofs: [PROOF] };
  return check({ ...clean, ...evidence }).map(({ rule }) => rule);
}

/** Entries after the registration. */
function rulesBrokenBy(...entries: readonly Entry[]): readonly Rule[] {
  return rulesBroken({ entries: [REGISTERED, ...entries] });
}

/** Entries of which nothing is left at the end. */
function rulesBrokenWithoutTrace(...entries: readonly Entry[]): readonly Rule[] {
  return rulesBroken({ entries: [REGISTERED, ...entries], contents: EMPTY, proofs: [] });
}

it('accuses nobody where everything went well', () => {
  const entries = [
    entry('login', [20, 30], signedIn(OTHER)),
    entry('protected', [40, 50], greeted()),
    entry('refresh', [40, 50], refreshed()),
    entry('register', [60, 70], taken, { owner: 2 }),
    entry('login', [80, 90], wrongPassword, { owner: 2 }),
    // It may have come before the registration.
    entry('login', [5, 15], wrongPassword),
  ];
  assert.equal(rulesBrokenBy(...entries), []);
});

it('finds an acknowledged account that is gone', () => {
  assert.equal(rulesBroken({ contents: EMPTY, proofs: [] }), ['lost account']);
  // Its id is another's by now.
  const contents = {
    users: [{ id: '1', email: 'eve@example.com' }],
    sessions: ADA_ALONE.sessions,
  };
  const eve = entry('register', [20, 30], reset, { email: 'eve@example.com', owner: 2 });
  const found = rulesBroken({ entries: [REGISTERED, eve], contents, mayLoseConnections: true });
  assert.equal(found, ['lost account']);
  // A sign-in shows as well that it was there.
  const entries = [
    entry('register', [0, 10], notRegistered),
    entry('login', [20, 30], signedIn(ONE)),
  ];
  assert.equal(rulesBroken({ entries, contents: EMPTY, proofs: [] }), ['lost account']);
});

it('finds an acknowledged session that is gone', () => {
  const entries = [REGISTERED, entry('login', [20, 30], signedIn({ userId: '1', sessionId: 'x' }))];
  assert.equal(rulesBroken({ entries }), ['lost session']);
});

it('finds an account that does not sign in', () => {
  const contents = { ...ADA_ALONE, sessions: [{ id: 'one', userId: '1' }] };
  assert.equal(rulesBroken({ contents, proofs: [] }), ['no login']);
  const proofs = [entry('login', [900, 910], wrongPassword)];
  assert.equal(rulesBroken({ contents, proofs }), ['stale refusal', 'no login']);
});

it('finds two rows for one email, in whatever spelling', () => {
  const entries = [
    entry('register', [0, 10], reset),
    entry('register', [20, 30], created(TWO)),
    entry('register', [20, 30], reset, { email: 'ADA@example.com ' }),
  ];
  const proofs = [entry('login', [900, 910], signedIn(TWO))];
  for (const email of [ADA, 'ADA@example.com ']) {
    const proof = entry('login', [900, 910], signedIn(OTHER), { email });
    const contents = {
      users: [{ id: '1', email }, ...ADA_AS_TWO.users],
      sessions: [...ADA_ALONE.sessions, ...ADA_AS_TWO.sessions],
    };
    const evidence = { entries, contents, proofs: [proof, ...proofs], mayLoseConnections: true };
    assert.equal(rulesBroken(evidence), ['duplicate row']);
  }
});

it('finds half an account', () => {
  const entries = [entry('register', [0, 10], notRegistered)];
  const withoutSession = { users: ADA_ALONE.users, sessions: [] };
  assert.equal(rulesBroken({ entries, contents: withoutSession }), ['half account']);
  const sessions = [...ADA_ALONE.sessions, { id: 'nobody’s', userId: '7' }];
  assert.equal(rulesBroken({ contents: { ...ADA_ALONE, sessions } }), ['half account']);
});

it('finds a row that nobody has asked for', () => {
  assert.equal(rulesBroken({ entries: [] }), ['stranger']);
  for (const outcome of [taken, refused]) {
    const entries = [entry('register', [0, 10], outcome)];
    const found = rulesBroken({ entries, mayLoseConnections: true });
    assert.ok(found.includes('stranger'), found.join());
  }
});

it('finds an account that is there again after its deletion', () => {
  const deletion = entry('delete', [20, 30], deleted);
  const proofs = [entry('login', [25, 40], signedIn(OTHER))];
  const found = rulesBroken({ entries: [REGISTERED, deletion], proofs });
  assert.equal(found, ['back again']);
});

it('finds two winners of one email, at once and one after the other', () => {
  const trace = { contents: ADA_AS_TWO, proofs: [entry('login', [900, 910], signedIn(TWO))] };
  for (const times of [
    [5, 15],
    [20, 30],
  ] as const) {
    const entries = [REGISTERED, entry('register', times, created(TWO), { owner: 2 })];
    const found = rulesBroken({ entries, ...trace });
    assert.ok(found.includes('two winners'), found.join());
  }
  // A deletion that began only when the second had been acknowledged is no excuse.
  const entries = [
    REGISTERED,
    entry('register', [20, 30], created(TWO)),
    entry('delete', [40, 50], deleted),
  ];
  assert.equal(rulesBroken({ entries, ...trace }), ['two winners']);
  // Nor can one account be made twice.
  const twice = [REGISTERED, entry('register', [20, 30], created())];
  assert.equal(rulesBroken({ entries: twice }), ['two winners']);
  const again = [entry('delete', [12, 15], deleted), entry('register', [20, 30], created())];
  const found = rulesBrokenWithoutTrace(...again);
  assert.ok(found.includes('two winners'), found.join());
});

it('takes a second winner after a deletion, acknowledged or in doubt', () => {
  for (const outcome of [deleted, failed]) {
    const entries = [
      REGISTERED,
      entry('delete', [20, 30], outcome),
      entry('register', [25, 40], created(TWO)),
    ];
    const proofs = [entry('login', [900, 910], signedIn(TWO))];
    assert.equal(rulesBroken({ entries, contents: ADA_AS_TWO, proofs }), []);
  }
});

it('finds "already registered" where nothing but the request itself can be in the way', () => {
  const alone = [entry('register', [0, 10], taken)];
  assert.equal(rulesBroken({ entries: alone, contents: EMPTY, proofs: [] }), ['false taken']);
  for (const outcome of [refused, taken]) {
    const entries = [entry('register', [0, 10], outcome), entry('register', [20, 30], taken)];
    const evidence = { entries, contents: EMPTY, proofs: [], mayLoseConnections: true };
    assert.ok(rulesBroken(evidence).includes('false taken'));
  }
  // What began later cannot have been in the way, nor what was gone before.
  const early = [entry('register', [0, 5], taken), entry('register', [6, 20], created())];
  assert.equal(rulesBroken({ entries: early }), ['false taken']);
  const late = [entry('delete', [20, 30], deleted), entry('register', [40, 50], taken)];
  assert.equal(rulesBrokenWithoutTrace(...late), ['false taken']);
});

it('takes "already registered" after a request in doubt, and beside one that wins', () => {
  for (const outcome of [notRegistered, reset]) {
    const entries = [entry('register', [0, 10], outcome), entry('register', [20, 30], taken)];
    assert.equal(rulesBroken({ entries, mayLoseConnections: true }), []);
  }
  assert.equal(rulesBrokenBy(entry('register', [1, 9], taken, { owner: 2 })), []);
  const deletion = [entry('delete', [20, 30], deleted), entry('register', [25, 40], taken)];
  assert.equal(rulesBrokenWithoutTrace(...deletion), []);
});

it('finds a success after an acknowledged deletion, or after somebody was told of it', () => {
  const deletion = entry('delete', [20, 30], deleted);
  for (const stale of [
    entry('protected', [40, 50], greeted()),
    entry('refresh', [40, 50], refreshed()),
    entry('login', [40, 50], signedIn(OTHER)),
    entry('delete', [40, 50], deleted),
  ]) {
    assert.equal(rulesBrokenWithoutTrace(deletion, stale), ['stale success']);
  }
  const inDoubt = entry('delete', [20, 30], failed);
  const told = entry('protected', [40, 50], notFound);
  const stale = entry('protected', [60, 70], greeted());
  assert.equal(rulesBrokenWithoutTrace(inDoubt, told, stale), ['stale success']);
});

it('takes a success beside a deletion, and after one that is in doubt', () => {
  const success = entry('protected', [25, 40], greeted());
  assert.equal(rulesBrokenWithoutTrace(entry('delete', [20, 30], deleted), success), []);
  const inDoubt = entry('delete', [20, 30], failed);
  const later = entry('protected', [100, 110], greeted());
  assert.equal(rulesBrokenWithoutTrace(inDoubt, later, entry('delete', [120, 130], notFound)), []);
  assert.equal(rulesBrokenBy(inDoubt, later), []);
});

it('finds "User not found" and other refusals of what was there all the time', () => {
  for (const refusal of [
    entry('protected', [20, 30], notFound),
    entry('refresh', [20, 30], notFound),
    entry('refresh', [20, 30], { status: 401, message: 'Invalid or expired refresh token' }),
    entry('delete', [20, 30], { status: 401, message: 'Invalid password' }),
    entry('login', [20, 30], wrongPassword),
  ]) {
    assert.ok(rulesBrokenBy(refusal).includes('stale refusal'), refusal.action);
    // A deletion that begins only afterwards explains nothing.
    const deletion = entry('delete', [40, 50], deleted);
    const found = rulesBrokenWithoutTrace(refusal, deletion);
    assert.ok(found.includes('stale refusal'), refusal.action);
  }
});

it('takes refusals beside and after a deletion, be it in doubt', () => {
  for (const outcome of [deleted, failed]) {
    for (const times of [
      [15, 25],
      [40, 50],
    ] as const) {
      const refusals = [
        entry('protected', times, notFound),
        entry('refresh', times, notFound),
        entry('delete', times, notFound),
        entry('login', times, wrongPassword),
      ];
      assert.equal(rulesBrokenWithoutTrace(entry('delete', [20, 30], outcome), ...refusals), []);
    }
  }
});

it('wants a deleted user to be called that, and not their token a bad one', () => {
  const bad: Outcome = { status: 401, message: 'Invalid or expired refresh token' };
  const deletion = entry('delete', [20, 30], deleted);
  const later = entry('refresh', [40, 50], bad);
  assert.equal(rulesBrokenWithoutTrace(deletion, later), ['stale refusal']);
  assert.equal(rulesBrokenWithoutTrace(deletion, entry('refresh', [25, 35], bad)), []);
});

it('finds answers about somebody else', () => {
  const greeting = entry('protected', [20, 30], greeted('eve@example.com'));
  assert.equal(rulesBrokenBy(greeting), ['wrong user']);
  for (const wrong of [
    entry('refresh', [20, 30], refreshed(TWO)),
    entry('login', [20, 30], signedIn(OTHER), { owner: 2 }),
    entry('login', [20, 30], signedIn(OTHER), { email: 'eve@example.com' }),
  ]) {
    assert.equal(rulesBrokenBy(wrong), ['wrong user']);
  }
});

it('finds statuses and messages that the contract does not have', () => {
  const unknown: readonly (readonly [Action, Outcome])[] = [
    ['register', { status: 502, message: 'Bad gateway' }],
    ['register', { status: 400, message: 'Missing required fields' }],
    ['register', { status: 201, message: 'User created successfully' }],
    ['register', failed],
    ['login', notRegistered],
    ['login', { status: 200, message: 'Login successful' }],
    ['login', { status: 500, message: 'An error occurred: ER_LOCK_DEADLOCK' }],
    ['refresh', { status: 200, message: '<html>' }],
    ['refresh', { status: 200, message: '' }],
    ['protected', { status: 401, message: 'Token is invalid or expired!' }],
    ['protected', { status: 200, message: 'Hello' }],
    ['delete', { status: 200, message: '' }],
  ];
  for (const [action, outcome] of unknown) {
    const more = action === 'register' ? { email: 'eve@example.com' } : {};
    const found = rulesBrokenBy(entry(action, [20, 30], outcome, more));
    const isFound = found.some((rule) => rule === 'unknown answer' || rule === 'wrong user');
    assert.ok(isFound, `${action} ${JSON.stringify(outcome)}: ${found.join()}`);
  }
});

it('finds connections that ended without an answer, unless the service was killed', () => {
  for (const outcome of [reset, refused]) {
    const entries = [REGISTERED, entry('protected', [20, 30], outcome)];
    assert.equal(rulesBroken({ entries }), ['no answer']);
    assert.equal(rulesBroken({ entries, mayLoseConnections: true }), []);
  }
  const silent = [REGISTERED, entry('protected', [20, 30], { fault: 'no answer' })];
  assert.equal(rulesBroken({ entries: silent, mayLoseConnections: true }), ['no answer']);
});

it.run();
