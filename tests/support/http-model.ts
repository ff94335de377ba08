import * as assert from 'uvu/assert';

/**
 * The address that a text stands for; undefined where it is none. Written anew from the documents,
 * character by character, so that the model does not believe the code that it is to check.
 */
function addressOf(text: string): string | undefined {
  const address = text.trim().normalize('NFC').toLowerCase().normalize('NFC');
  const [local = '', domain = '', ...more] = address.split('@');
  const labels = domain.split('.');
  if (more.length > 0 || labels.length < 2 || Array.from(address).length > 254) return undefined;
  const isAtom = (part: string) => part !== '' && Array.from(part).every(isOfAtom);
  const isLabel = (part: string) =>
    part !== '' && !/^-|-$/.test(part) && Array.from(part).every((c) => c === '-' || isOfWord(c));
  return local.split('.').every(isAtom) && labels.every(isLabel) ? address : undefined;
}

function isOfAtom(character: string): boolean {
  return !',:;<>()[]\\"'.includes(character) && !/[\s\p{Cc}\p{Cf}\p{Cs}\p{Co}]/u.test(character);
}

function isOfWord(character: string): boolean {
  return /[\p{L}\p{M}\p{N}]/u.test(character);
}

/** One answer that a request may get. */
export interface Outcome {
  readonly status: number;
  /** The only member of the body. */
  readonly message?: string;
  /** The headers that depend on the answer; those that are not named here must not be there. */
  readonly headers?: Readonly<Record<string, string | RegExp>>;
  /**
   * Holds a body of another shape to what is known, or notes what the answer has changed. `kept` is the
   * refresh token that it has the client keep in a cookie, if any.
   */
  readonly take?: (body: string, kept?: string) => void;
}

export interface Person {
  readonly email: string;
  readonly username: string;
  /** NFC. */
  password: string;
  deleted: boolean;
}

export interface Session {
  readonly person: Person;
  readonly id: string;
  ended: boolean;
  /** The refresh token that is good now. */
  current: string;
}

export interface Token {
  readonly text: string;
  readonly kind: 'access' | 'refresh';
  readonly session: Session;
}

/** What a request says to an endpoint, as its author meant it. */
export interface Said {
  /** The token of the Authorization header; NONE, or BAD where there is something else than one. */
  readonly bearer: string;
  readonly fields: Readonly<Record<string, string>>;
  /** In cookie mode: the token of the cookie; NONE, or BAD where there is something else than one. */
  readonly cookie?: string | undefined;
  readonly query: URLSearchParams;
  readonly params: Readonly<Record<string, string>>;
}

export const NONE = '';
export const BAD = 'not one token';

/** The refusals of each endpoint: status and sentence. */
const TOKEN_REFUSALS = [
  '401 Token is missing!',
  '401 Token is invalid or expired!',
  '404 User not found',
];
const PASSWORD_REFUSALS = [
  '400 Missing required fields',
  '400 Passwords do not match',
  '400 Invalid password',
  '400 Password must be at least 8 characters',
  '400 Password must be at most 1024 bytes',
];
const TOO_MANY = '429 Too many attempts. Please try again later.';
export const INVALID_MODE = '400 Invalid Refresh-Token-Mode';
export const CROSS_ORIGIN = '403 Cross-origin request refused';
const MODE_REFUSALS = [INVALID_MODE, CROSS_ORIGIN];

/** Of every endpoint of the table. */
export const REFUSALS: Readonly<Record<string, readonly string[]>> = {
  'POST /register': [
    ...PASSWORD_REFUSALS,
    '400 Invalid email address',
    '400 Invalid username',
    '400 Username must be at most 255 characters',
    '400 Email already registered. Please try with different email.',
    TOO_MANY,
    ...MODE_REFUSALS,
  ],
  'POST /login': [
    '400 Missing email or password',
    '401 Invalid email or password',
    TOO_MANY,
    ...MODE_REFUSALS,
  ],
  'POST /refresh': [
    '400 Missing refresh token',
    '401 Invalid or expired refresh token',
    '404 User not found',
    TOO_MANY,
    ...MODE_REFUSALS,
  ],
  'GET /protected': TOKEN_REFUSALS,
  'GET /users': [
    '400 Invalid after',
    '400 Limit must be between 1 and 10000',
    '400 Invalid email address',
  ],
  'POST /logout': ['400 Missing refresh token', ...MODE_REFUSALS],
  'POST /logout-all': [...TOKEN_REFUSALS, ...MODE_REFUSALS],
  'GET /sessions': TOKEN_REFUSALS,
  'DELETE /sessions/{id}': [...TOKEN_REFUSALS, '404 Session not found'],
  'GET /account': TOKEN_REFUSALS,
  'POST /password': [...TOKEN_REFUSALS, ...PASSWORD_REFUSALS, '401 Invalid password', TOO_MANY],
  'DELETE /account': [
    ...TOKEN_REFUSALS,
    '400 Missing required fields',
    '401 Invalid password',
    TOO_MANY,
    ...MODE_REFUSALS,
  ],
  'GET /openapi.json': [],
};

/** What is refused before it is an endpoint's business. */
export const HOST_REFUSALS: readonly string[] = [
  '400 Bad request',
  '400 Malformed JSON',
  '404 Not found',
  '405 Method not allowed',
  '413 Request body is too large',
  '415 Content-Type must be application/json',
  '415 Unsupported encoding',
  '417 Expectation failed',
  '431 Header too large',
];

/** A refusal, e.g. `refusal('404 Not found')`, with the headers that go with it. */
export function refusal(line: string, headers: Outcome['headers'] = {}): Outcome {
  const [status, message] = [Number(line.slice(0, 3)), line.slice(4)];
  const invalid = message === 'Token is invalid or expired!' ? ' error="invalid_token"' : '';
  return {
    status,
    message,
    headers: {
      ...headers,
      ...(status === 401 && { 'www-authenticate': `Bearer${invalid}` }),
      ...(status === 429 && { 'retry-after': /^[1-9]\d{0,3}$/ }),
    },
  };
}

const UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** The cookie, as development has it; and what is said of it. */
export const COOKIE_NAME = 'portcullis_refresh_token';
const ATTRIBUTES = 'Path=/; HttpOnly; SameSite=Strict';
const REMOVED = { 'set-cookie': `${COOKIE_NAME}=; ${ATTRIBUTES}; Max-Age=0` };
const KEPT = {
  'set-cookie': new RegExp(
    `^${COOKIE_NAME}=[\\w-]+\\.[\\w-]+\\.[\\w-]+; ${ATTRIBUTES}; Max-Age=[1-9]\\d*$`,
  ),
};

/** More than this are not made: the service's memory is being watched. */
const MAX_PEOPLE = 40;
const MAX_TOKENS = 200;

/** What the service must know by now, and so what it must answer: told of every answer in turn. */
export class HttpModel {
  readonly people: Person[] = [];
  /** Those of people who are gone too. The oldest are forgotten. */
  readonly tokens = new Map<string, Token>();
  readonly sessions = new Set<Session>();
  readonly #limited: boolean;
  readonly #rotation: boolean;

  constructor(options: { readonly limited: boolean; readonly rotation: boolean }) {
    this.#limited = options.limited;
    this.#rotation = options.rotation;
  }

  get isFull(): boolean {
    return this.people.length >= MAX_PEOPLE;
  }

  /** The answers that an endpoint may give; undefined where there is no model of it. */
  outcomes(endpoint: string, said: Said): readonly Outcome[] | undefined {
    return said.cookie === undefined
      ? this.#outcomes(endpoint, said)
      : this.#inCookieMode(endpoint, said, said.cookie);
  }

  /** The same, but that the refresh token comes and goes in the cookie, and never in a body. */
  #inCookieMode(endpoint: string, said: Said, cookie: string): readonly Outcome[] | undefined {
    const presents = ['POST /refresh', 'POST /logout'].includes(endpoint);
    const fields = presents ? { refresh_token: cookie } : said.fields;
    const replaced = presents ? undefined : this.tokens.get(cookie);
    const ends = ['POST /logout', 'POST /logout-all', 'DELETE /account'].includes(endpoint);
    const keeps = !ends && (!presents || this.#rotation);
    return this.#outcomes(endpoint, { ...said, fields })?.map((outcome) => {
      const { status, headers, take } = outcome;
      // A token that is good for nothing need not be kept; nor one that has been ended.
      const removes = status >= 400 ? presents && [401, 404].includes(status) : ends;
      if (removes) return { ...outcome, headers: { ...headers, ...REMOVED } };
      if (status >= 400) return outcome;
      return {
        ...outcome,
        ...(keeps && { headers: KEPT }),
        take: (body, kept) => {
          assert.not.match(body, 'refresh_token');
          if (kept !== undefined) assert.not(body.includes(kept), 'the token of the cookie');
          take?.(body, kept);
          // Nobody else has the token that a sign-in replaces.
          if (replaced?.kind === 'refresh') {
            const { session } = replaced;
            this.#end(session.person, (each) => each === session);
          }
        },
      };
    });
  }

  #outcomes(endpoint: string, said: Said): readonly Outcome[] | undefined {
    switch (endpoint) {
      case 'POST /register':
        return this.#register(said);
      case 'POST /login':
        return this.#login(said);
      case 'POST /refresh':
        return this.#refresh(said);
      case 'GET /protected':
        return this.#signedIn(said, ({ session: { person } }) => [
          { status: 200, message: `Hello, ${person.username}. This is a protected route.` },
        ]);
      case 'GET /users':
        return this.#users(said);
      case 'POST /logout':
        return this.#logout(said);
      case 'POST /logout-all':
        return this.#signedIn(said, ({ session: { person } }) => [
          noContent(() => this.#end(person)),
        ]);
      case 'GET /sessions':
        return this.#signedIn(said, ({ session }) => [this.#list(session)]);
      case 'DELETE /sessions/{id}':
        return this.#signedIn(said, ({ session: { person } }) => {
          const own = this.#live(person).find(({ id }) => id === said.params['id']);
          if (own === undefined) return [refusal('404 Session not found')];
          return [noContent(() => this.#end(person, (each) => each === own))];
        });
      case 'GET /account':
        return this.#signedIn(said, ({ session }) => [this.#account(session)]);
      case 'POST /password':
        return this.#signedIn(said, (token) => this.#changePassword(said, token));
      case 'DELETE /account':
        return this.#signedIn(said, (token) => this.#deleteAccount(said, token));
      default:
        return undefined;
    }
  }

  #register({ fields }: Said): readonly Outcome[] {
    const { username = '', email = '', password = '', confirm_password: confirm = '' } = fields;
    if (!username.trim() || !email.trim() || !password || !confirm) {
      return [refusal('400 Missing required fields')];
    }
    const secret = password.normalize('NFC');
    if (secret !== confirm.normalize('NFC')) return [refusal('400 Passwords do not match')];
    const address = addressOf(email);
    if (address === undefined) return [refusal('400 Invalid email address')];
    const name = username.trim();
    if (/[\p{Cc}\p{Cs}]/u.test(name)) return [refusal('400 Invalid username')];
    if (Array.from(name).length > 255) {
      return [refusal('400 Username must be at most 255 characters')];
    }
    const problem = problemOfPassword(secret);
    if (problem) return [refusal(problem)];
    if (this.people.some((person) => person.email === address)) {
      const taken = '400 Email already registered. Please try with different email.';
      return this.#within([refusal(taken)]);
    }
    const take = (body: string, kept?: string) => {
      const { access_token, refresh_token } = JSON.parse(body) as Record<string, string>;
      const message = 'User created successfully';
      assert.is(body, JSON.stringify({ message, access_token, refresh_token }));
      const person = { email: address, username: name, password: secret, deleted: false };
      this.people.push(person);
      this.#begin(person, access_token, kept ?? refresh_token);
    };
    return this.#within([{ status: 201, take }]);
  }

  #login({ fields: { email = '', password = '' } }: Said): readonly Outcome[] {
    if (!email.trim() || !password) return [refusal('400 Missing email or password')];
    const person = this.people.find((each) => each.email === addressOf(email));
    if (person === undefined || person.password !== password.normalize('NFC')) {
      return this.#within([refusal('401 Invalid email or password')]);
    }
    const take = (body: string, kept?: string) => {
      const { access_token, refresh_token, user } = JSON.parse(body) as Record<string, string> & {
        user: { id: number; date_created: string };
      };
      const { id, date_created } = user;
      const shown = { id, username: person.username, email: person.email, date_created };
      const message = 'Login successful';
      assert.is(body, JSON.stringify({ message, access_token, refresh_token, user: shown }));
      assert.ok(Number.isSafeInteger(id) && UTC.test(date_created), body);
      this.#begin(person, access_token, kept ?? refresh_token);
    };
    return this.#within([{ status: 200, take }]);
  }

  #refresh({ fields: { refresh_token: text = '' } }: Said): readonly Outcome[] {
    if (!text) return [refusal('400 Missing refresh token')];
    const token = this.tokens.get(text);
    const refused = refusal('401 Invalid or expired refresh token');
    if (token?.kind !== 'refresh') return this.#within([refused]);
    const { session } = token;
    if (session.person.deleted) return [refusal('404 User not found')];
    if (session.ended) return this.#within([refused]);
    const take = (body: string, kept?: string) => {
      const { access_token, refresh_token } = JSON.parse(body) as Record<string, string>;
      const successor = kept ?? refresh_token;
      const rotated = this.#rotation ? { refresh_token } : {};
      assert.is(body, JSON.stringify({ access_token, ...rotated }));
      this.#keep('access', access_token, session);
      if (!this.#rotation) return;
      if (text !== session.current) assert.is(successor, session.current, 'one successor');
      else this.#keep('refresh', successor, session);
      session.current = successor ?? '';
    };
    const refreshed = { status: 200, take };
    if (text === session.current) return [refreshed];
    // It was replaced: a retry, or a reuse that ends the session. Both are told apart by the clock.
    const end = () => this.#end(session.person, (each) => each === session);
    return this.#within([refreshed, { ...refused, take: end }]).map((outcome) =>
      outcome.status === 429 ? { ...outcome, take: end } : outcome,
    );
  }

  #logout({ fields: { refresh_token: text = '' } }: Said): readonly Outcome[] {
    if (!text) return [refusal('400 Missing refresh token')];
    const token = this.tokens.get(text);
    if (token?.kind !== 'refresh') return [noContent()];
    const { session } = token;
    return [noContent(() => this.#end(session.person, (each) => each === session))];
  }

  #users({ query }: Said): readonly Outcome[] {
    const [after, limit, email] = [query.get('after'), query.get('limit'), query.get('email')];
    const isWhole = (text: string) => /^\d+$/.test(text) && Number.isSafeInteger(Number(text));
    if (after !== null && !isWhole(after)) return [refusal('400 Invalid after')];
    const address = email === null ? undefined : addressOf(email);
    if (email !== null && address === undefined) return [refusal('400 Invalid email address')];
    const size = limit === null ? Number.POSITIVE_INFINITY : Number(limit);
    if (limit !== null && (!isWhole(limit) || size < 1 || size > 10_000)) {
      return [refusal('400 Limit must be between 1 and 10000')];
    }
    const found = this.people.filter((person) => address === undefined || person.email === address);
    const take = (body: string) => {
      const listed = JSON.parse(body) as { id: number; date_created: string }[];
      const from = Number(after ?? 0);
      if (from === 0) assert.is(listed.length, Math.min(found.length, size));
      // The store numbers them: with `after`, which they are shows in what was listed.
      const first = found.findIndex(({ email: own }) => body.includes(JSON.stringify(own)));
      const shown = found.slice(Math.max(0, first), Math.max(0, first) + listed.length);
      const expected = listed.map(({ id, date_created }, i) => ({
        id,
        username: shown[i]?.username,
        email: shown[i]?.email,
        password: '[REDACTED]',
        confirm_password: '[REDACTED]',
        date_created,
      }));
      assert.is(body, JSON.stringify(expected));
      for (const { id, date_created } of listed) assert.ok(id > from && UTC.test(date_created));
    };
    const list = { status: 200, take };
    const more = { link: new RegExp(`^</users\\?limit=${size}&after=\\d+>; rel="next"$`) };
    if (limit === null || found.length <= size) return [list];
    return after === null ? [{ ...list, headers: more }] : [list, { ...list, headers: more }];
  }

  #list(asking: Session): Outcome {
    const live = this.#live(asking.person);
    const take = (body: string) => {
      const listed = JSON.parse(body) as Record<string, unknown>[];
      const expected = listed.map(({ id, device, date_created, last_used, expires }) => {
        for (const time of [date_created, last_used, expires]) assert.match(String(time), UTC);
        assert.ok(device === null || typeof device === 'string');
        return { id, device, date_created, last_used, expires, current: id === asking.id };
      });
      assert.is(body, JSON.stringify(expected));
      const ids = new Set(listed.map(({ id }) => id));
      assert.is(ids.size, listed.length);
      assert.is(ids.size, live.length);
      for (const { id } of live) assert.ok(ids.has(id), id);
    };
    return { status: 200, take };
  }

  #account({ person: { username, email }, id: session_id }: Session): Outcome {
    const take = (body: string) => {
      const { user } = JSON.parse(body) as { user: { id: number; date_created: string } };
      const { id, date_created } = user;
      const shown = { id, username, email, date_created, role: 'user' };
      assert.is(body, JSON.stringify({ user: shown, session_id }));
      assert.ok(Number.isSafeInteger(id) && UTC.test(date_created), body);
    };
    return { status: 200, take };
  }

  #changePassword({ fields }: Said, { session }: Token): readonly Outcome[] {
    const { current_password: given = '', password = '', confirm_password: confirm = '' } = fields;
    if (!given || !password || !confirm) return [refusal('400 Missing required fields')];
    const secret = password.normalize('NFC');
    if (secret !== confirm.normalize('NFC')) return [refusal('400 Passwords do not match')];
    const problem = problemOfPassword(secret);
    if (problem) return [refusal(problem)];
    const { person } = session;
    if (person.password !== given.normalize('NFC')) {
      return this.#within([refusal('401 Invalid password')]);
    }
    const take = () => {
      person.password = secret;
      this.#end(person, (each) => each !== session);
    };
    return this.#within([{ status: 200, message: 'Password changed', take }]);
  }

  #deleteAccount({ fields: { password = '' } }: Said, token: Token): readonly Outcome[] {
    if (!password) return [refusal('400 Missing required fields')];
    const { person } = token.session;
    if (person.password !== password.normalize('NFC')) {
      return this.#within([refusal('401 Invalid password')]);
    }
    const remove = () => {
      person.deleted = true;
      this.people.splice(this.people.indexOf(person), 1);
      this.#end(person);
    };
    return this.#within([noContent(remove)]);
  }

  /** Where attempts are limited any of them may be one too many. */
  #within(outcomes: readonly Outcome[]): readonly Outcome[] {
    return this.#limited ? [...outcomes, refusal(TOO_MANY)] : outcomes;
  }

  #signedIn({ bearer }: Said, then: (token: Token) => readonly Outcome[]): readonly Outcome[] {
    if (bearer === NONE) return [refusal('401 Token is missing!')];
    const token = this.tokens.get(bearer);
    if (token?.kind !== 'access') return [refusal('401 Token is invalid or expired!')];
    return token.session.person.deleted ? [refusal('404 User not found')] : then(token);
  }

  #live(person: Person): readonly Session[] {
    return [...this.sessions].filter((session) => session.person === person);
  }

  #begin(person: Person, access: string | undefined, refresh: string | undefined): void {
    const payload = Buffer.from(access?.split('.')[1] ?? '', 'base64url').toString();
    const { sid } = JSON.parse(payload) as { sid: string };
    const session = { person, id: sid, ended: false, current: refresh ?? '' };
    this.sessions.add(session);
    this.#keep('access', access, session);
    this.#keep('refresh', refresh, session);
  }

  #keep(kind: Token['kind'], text: string | undefined, session: Session): void {
    assert.match(text ?? '', JWS);
    assert.not(this.tokens.has(text ?? ''), 'a token that was issued before');
    this.tokens.set(text ?? '', { kind, text: text ?? '', session });
    const [oldest = ''] = this.tokens.keys();
    if (this.tokens.size > MAX_TOKENS) this.tokens.delete(oldest);
  }

  #end(person: Person, which: (session: Session) => boolean = () => true): void {
    for (const session of this.#live(person).filter(which)) {
      session.ended = true;
      this.sessions.delete(session);
    }
  }
}

function noContent(take: () => void = () => {}): Outcome {
  return { status: 204, take };
}

function problemOfPassword(secret: string): string | undefined {
  if (/[\0\p{Cs}]/u.test(secret)) return '400 Invalid password';
  if (Array.from(secret).length < 8) return '400 Password must be at least 8 characters';
  if (Buffer.byteLength(secret) > 1024) return '400 Password must be at most 1024 bytes';
  return undefined;
}
