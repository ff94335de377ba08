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
  /** Of each client, what it does, one after the other. */
  readonly clients: readonly (readonly Item[])[];
}

export const EMAILS = ['ada@example.com', 'bob@example.com', 'eve@example.com'] as const;

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What is drawn, and how often beside the others. */
const OFTEN: readonly (readonly [Item['kind'], number])[] = [
  ['register', 7],
  ['login', 9],
  ['guess', 2],
  ['guesses', 1],
  ['refresh', 14],
  ['authorize', 3],
  ['logout', 3],
  ['logoutAll', 2],
  ['listSessions', 2],
  ['endSession', 3],
  ['changePassword', 6],
  ['deleteAccount', 3],
  ['listUsers', 1],
  ['prune', 2],
  ['pass', 3],
  ['jump', 1],
];

export function scriptOf(seed: number): Script {
  const random = new Random(seed);
  const isOneAccount = random.chance(0.5);
  const isRough = random.chance(0.7);
  const first: Item = { ...drawItem(random), kind: 'register' };
  const clients = Array.from({ length: 2 + random.below(3) }, () =>
    Array.from({ length: 2 + random.below(6) }, () => drawItem(random)),
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
    clients: all.map((items, i) => (i === 0 ? [one(first), ...items] : items)),
  };
}

function one(item: Item): Item {
  return { ...item, who: 0 };
}

function drawItem(random: Random): Item {
  const kind = drawKind(random);
  return {
    kind,
    who: random.below(EMAILS.length),
    which: random.next(),
    where: random.below(6),
    seconds: kind === 'jump' ? drawJump(random) : drawPass(random),
  };
}

function drawKind(random: Random): Item['kind'] {
  let left = random.below(OFTEN.reduce((sum, [, often]) => sum + often, 0));
  const drawn = OFTEN.find(([, often]) => {
    left -= often;
    return left < 0;
  });
  return drawn?.[0] ?? 'login';
}

function drawPass(random: Random): number {
  return random.pick([3, 8, 11, 31, 2 * MINUTE, 16 * MINUTE, DAY]);
}

function drawJump(random: Random): number {
  return random.pick([-DAY, -HOUR, -6, 6, HOUR, DAY, 31 * DAY]);
}

/** The same script without one of its items. */
export function without(script: Script, client: number, item: number): Script {
  const clients = script.clients.map((items, i) =>
    i === client ? items.filter((_, j) => j !== item) : items,
  );
  return { ...script, clients };
}

/** A script in short: a line for each client. */
export function describe(script: Script): string {
  const { processes, rotation, places, weather } = script;
  const { crashes, faults, slowness } = weather;
  const items = ({ kind, who, seconds }: Item) => {
    if (kind === 'pass' || kind === 'jump') return `${kind} ${seconds} s`;
    return /^(?:register|login|guess)/.test(kind) ? `${kind} ${EMAILS[who]}` : kind;
  };
  return [
    `${processes} processes, ${places} places, rotation ${rotation}; chance of a crash ${crashes},` +
      ` of a fault ${faults}, of a slow call ${slowness}`,
    ...script.clients.map((list, i) => `client ${i + 1}: ${list.map(items).join(', ')}`),
  ].join('\n');
}
