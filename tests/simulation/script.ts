import { Random, type Weather } from './scheduler.ts';

const REQUESTS = [
  'register',
  'login',
  'guess',
  'refresh',
  'authorize',
  'logout',
  'logoutAll',
  'listSessions',
  'endSession',
  'changePassword',
  'deleteAccount',
  'disableUser',
  'enableUser',
  'listUsers',
  'prune',
] as const;

export type RequestKind = (typeof REQUESTS)[number];

/** What one client does next. What it does it with depends on what is known by then. */
export interface Item {
  /** `guesses`: several wrong passwords at once; `pass`: time passes; `jump`: a clock is set. */
  readonly kind: RequestKind | 'guesses' | 'pass' | 'jump';
  /** Which of the addresses. */
  readonly who: number;
  /** From 0 to 1: which of what is known, mostly of what is newest. */
  readonly which: number;
  /** Which process, where there are more. */
  readonly where: number;
  /** Seconds, of `pass` and `jump`. */
  readonly seconds: number;
}

/** All that a schedule consists of, but for the order in which its calls have their effects. */
export interface Script {
  readonly processes: number;
  readonly rotation: 'on' | 'off' | 'mixed';
  /** So many attempts at passwords have a place in one process at once. */
  readonly places: number;
  readonly weather: Weather;
  /** Where requests come from; undefined where the caller does not say. */
  readonly addresses: readonly (string | undefined)[];
  /** Of each client, what it does, one after the other. */
  readonly clients: readonly (readonly Item[])[];
}

export const EMAILS = ['ada@example.com', 'bob@example.com', 'eve@example.com'] as const;

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const ONE = '192.0.2.1';
const OTHER = '198.51.100.2';
const ADDRESSES = [[undefined], [ONE], [ONE, OTHER], [undefined, ONE, OTHER]];

/** Seconds by which time passes, and by which a clock is set. */
const PASSES = [3, 8, 11, 31, 31, 31, 2 * MINUTE, 16 * MINUTE, DAY];
const JUMPS = [-DAY, -HOUR, -6, 6, HOUR, DAY, 29.5 * DAY, 31 * DAY];

/** How often each is drawn, beside the others: of everything, or of what may get in each other's way. */
const THEMES: readonly Readonly<Partial<Record<Item['kind'], number>>>[] = [
  {
    register: 6,
    login: 9,
    guess: 2,
    guesses: 1,
    refresh: 12,
    authorize: 3,
    logout: 3,
    logoutAll: 2,
    listSessions: 2,
    endSession: 3,
    changePassword: 6,
    deleteAccount: 3,
    disableUser: 1,
    enableUser: 2,
    listUsers: 1,
    prune: 2,
    pass: 3,
    jump: 1,
  },
  { login: 6, changePassword: 6, deleteAccount: 3, register: 2, refresh: 1, logoutAll: 1 },
  {
    refresh: 12,
    logout: 1,
    endSession: 1,
    login: 2,
    prune: 2,
    pass: 2,
    jump: 1,
    changePassword: 1,
  },
  { login: 6, disableUser: 3, enableUser: 4, refresh: 2, changePassword: 1, authorize: 1 },
  { guesses: 3, guess: 2, login: 2, pass: 2, changePassword: 1 },
  { guesses: 3, prune: 3, pass: 1 },
];

export function scriptOf(seed: number): Script {
  const random = new Random(seed);
  const isOneAccount = random.chance(0.5);
  const isRough = random.chance(0.7);
  const theme = Object.entries(random.pick(THEMES)) as [Item['kind'], number][];
  const first: Item = { ...drawItem(random, theme), kind: 'register' };
  const clients = Array.from({ length: 2 + random.below(3) }, () =>
    Array.from({ length: 2 + random.below(6) }, () => drawItem(random, theme)),
  );
  const all = clients.map((items) => items.map((item) => (isOneAccount ? one(item) : item)));
  return {
    processes: 1 + random.below(3),
    rotation: random.pick(['on', 'on', 'off', 'mixed']),
    places: random.pick([3, 8, 64]),
    weather: {
      crashes: isRough ? random.pick([0, 0.005, 0.02]) : 0,
      faults: isRough ? random.pick([0, 0.01, 0.05]) : 0,
      slowness: random.pick([0, 0.1, 0.3]),
    },
    addresses: random.pick(ADDRESSES),
    clients: all.map((items, i) => (i === 0 ? [one(first), ...items] : items)),
  };
}

function one(item: Item): Item {
  return { ...item, who: 0 };
}

type Theme = readonly (readonly [Item['kind'], number])[];

function drawItem(random: Random, theme: Theme): Item {
  const kind = drawKind(random, theme);
  return {
    kind,
    who: random.below(EMAILS.length),
    which: random.next(),
    where: random.below(6),
    seconds: random.pick(kind === 'jump' ? JUMPS : PASSES),
  };
}

function drawKind(random: Random, theme: Theme): Item['kind'] {
  let left = random.below(theme.reduce((sum, [, often]) => sum + often, 0));
  const drawn = theme.find(([, often]) => {
    left -= often;
    return left < 0;
  });
  return drawn?.[0] ?? 'login';
}

/** The same script with less in it: fewer requests, processes, addresses, and less that goes wrong. */
export function* shorter(script: Script): Generator<Script> {
  const { clients, processes, addresses, weather } = script;
  for (const [i, items] of clients.entries()) {
    if (items.length === 0) yield { ...script, clients: clients.filter((_, j) => j !== i) };
    for (let item = items.length - 1; item >= 0; item -= 1) {
      const left = items.filter((_, j) => j !== item);
      yield { ...script, clients: clients.map((list, j) => (j === i ? left : list)) };
    }
  }
  if (processes > 1) yield { ...script, processes: processes - 1 };
  if (addresses.length > 1) yield { ...script, addresses: addresses.slice(1) };
  for (const name of ['crashes', 'faults', 'slowness'] as const) {
    if (weather[name] > 0) yield { ...script, weather: { ...weather, [name]: 0 } };
  }
}

/** A script in short: a line for each client. */
export function describe(script: Script): string {
  const { processes, rotation, places, weather, addresses } = script;
  const { crashes, faults, slowness } = weather;
  const items = ({ kind, who, seconds }: Item) => {
    if (kind === 'pass' || kind === 'jump') return `${kind} ${seconds} s`;
    return /^(?:register|login|guess|disable|enable)/.test(kind) ? `${kind} ${EMAILS[who]}` : kind;
  };
  return [
    `${processes} processes, ${places} places, rotation ${rotation}; chance of a crash ${crashes},` +
      ` of a fault ${faults}, of a slow call ${slowness}; from ${addresses.join(', ') || 'nowhere'}`,
    ...script.clients.map((list, i) => `client ${i + 1}: ${list.map(items).join(', ')}`),
  ].join('\n');
}
