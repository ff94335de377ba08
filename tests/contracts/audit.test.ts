import { PassThrough } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AuditTrail } from '../../src/adapters/audit/audit-trail.ts';
import { KnexAudit } from '../../src/adapters/knex/audit.ts';
import { auditInto, jsonLog } from '../../src/adapters/log/log.ts';
import type { AuditLog, AuditRecord } from '../../src/application/index.ts';
import {
  auditLogContract,
  auditTrailContract,
  type OpenedAuditLog,
  type OpenTrail,
  type Trail,
} from './audit-log-contract.ts';
import { failedCases, runContract } from '../support/contracts.ts';
import { isAvailable, openDatabases, type StoreName } from '../support/stores.ts';

const trailTo: OpenTrail = (log) =>
  new AuditTrail({ log, now: () => new Date(), alert: () => {}, report: () => {} });

const DATABASES: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of DATABASES) {
  const open = async (): Promise<OpenedAuditLog> => {
    const { one, other, close } = await openDatabases(name);
    if (one === undefined || other === undefined) throw new Error('no database');
    const log = new KnexAudit(one);
    await log.makeTable();
    const rows = () => one<Row>('audit_events').orderBy(['date_created', 'id']);
    return {
      log,
      other: new KnexAudit(other),
      records: async () => (await rows()).map(recordOf),
      text: async () => JSON.stringify(await rows()),
      close,
    };
  };
  runContract(`AuditLog in a table of ${name}`, auditLogContract(open), isAvailable(name));
  const title = `The audit trail into a table of ${name}`;
  runContract(title, auditTrailContract(trailTo, open), isAvailable(name));
}

interface Row {
  readonly id: string;
  readonly date_created: string;
  readonly event: AuditRecord['event'];
  readonly outcome: AuditRecord['outcome'];
  readonly reason?: string | null;
  readonly user_id?: number | string | null;
  readonly account?: string | null;
  readonly session_id?: string | null;
  readonly address?: string | null;
}

function recordOf(row: Row): AuditRecord {
  return {
    id: row.id,
    date: new Date(row.date_created),
    event: row.event,
    outcome: row.outcome,
    reason: row.reason ?? null,
    userId: row.user_id == null ? null : Number(row.user_id),
    account: row.account ?? null,
    sessionId: row.session_id ?? null,
    address: row.address ?? null,
  };
}

/** As programs read the log: a line of JSON for each record. */
async function openLines(): Promise<OpenedAuditLog> {
  const output = new PassThrough();
  const parts: string[] = [];
  output.setEncoding('utf8').on('data', (part: string) => parts.push(part));
  const text = async () => {
    await new Promise(setImmediate);
    return parts.join('');
  };
  return {
    log: auditInto(await jsonLog('error', output)),
    text,
    async records() {
      const lines = (await text()).split('\n').filter(Boolean);
      const rows = lines.map((line) => JSON.parse(line) as Row & { client_address?: string });
      return rows.map((row) => recordOf({ ...row, address: row.client_address ?? null }));
    },
  };
}

const appendOnly = { isAppendOnly: true };
runContract('AuditLog in lines of JSON', auditLogContract(openLines, appendOnly));
const intoLines = auditTrailContract(trailTo, openLines, appendOnly);
runContract('The audit trail into lines of JSON', intoLines);

// The simplest that keeps every promise, and what it becomes by the faults that such logs have had.

interface Memory {
  kept: AuditRecord[];
}

function inMemory(break_: (sound: AuditLog, memory: Memory) => Partial<AuditLog> = () => ({})) {
  return (): OpenedAuditLog => {
    const memory: Memory = { kept: [] };
    const sound: AuditLog = {
      async append(records) {
        for (const record of records) {
          if (!memory.kept.some(({ id }) => id === record.id)) memory.kept.push(only(record));
        }
      },
      async prune(before, limit) {
        const old = memory.kept.filter(({ date }) => date < before);
        const last = old.toSorted(byDate)[limit - 1] ?? { date: before };
        const isRemoved = ({ date }: AuditRecord) => date < before && date <= last.date;
        const left = memory.kept.filter((each) => !isRemoved(each));
        const removed = memory.kept.length - left.length;
        memory.kept = left;
        return removed;
      },
    };
    return {
      log: { ...sound, ...break_(sound, memory) },
      records: async () => memory.kept,
      text: async () => JSON.stringify(memory.kept),
    };
  };
}

function byDate(one: AuditRecord, other: AuditRecord): number {
  return one.date.getTime() - other.date.getTime();
}

function only(record: AuditRecord): AuditRecord {
  const { id, date, event, outcome, reason, userId, account, sessionId, address } = record;
  return { id, date, event, outcome, reason, userId, account, sessionId, address };
}

runContract('AuditLog in memory', auditLogContract(inMemory()));
runContract('The audit trail into memory', auditTrailContract(trailTo, inMemory()));

const WHOLE = 'keeps all of a record, its date to the millisecond';
const ORDER = 'keeps records in their order, however many';
const ONCE = 'keeps a record once, however often and by whomever it is appended';
const OLDER = 'removes what is older than a date, and nothing of that date or later';
const OLDEST = 'removes the oldest first, up to a limit, and the rest of their millisecond';

const BROKEN_LOGS: readonly {
  readonly name: string;
  readonly fault: Parameters<typeof inMemory>[0];
  readonly fails: readonly string[];
}[] = [
  {
    name: 'keeps dates to the second',
    fault: (sound) => ({
      append: (records) =>
        sound.append(
          records.map((each) => ({
            ...each,
            date: new Date(Math.floor(+each.date / 1000) * 1000),
          })),
        ),
    }),
    fails: [WHOLE, OLDER],
  },
  {
    name: 'keeps the beginning of an address',
    fault: (sound) => ({
      append: (records) =>
        sound.append(
          records.map((each) => ({ ...each, address: each.address?.slice(0, 15) ?? null })),
        ),
    }),
    fails: [WHOLE],
  },
  {
    name: 'takes a hundred of a batch',
    fault: (sound) => ({ append: (records) => sound.append(records.slice(0, 100)) }),
    fails: [ORDER],
  },
  {
    name: 'puts the latest of a batch first',
    fault: (sound) => ({ append: (records) => sound.append(records.toReversed()) }),
    fails: [ORDER, ONCE, OLDER, OLDEST],
  },
  {
    name: 'keeps whatever it is given',
    fault: (_, memory) => ({
      async append(records) {
        const isNew = ({ id }: AuditRecord) => memory.kept.every((each) => each.id !== id);
        memory.kept.push(...records.filter(isNew));
      },
    }),
    fails: ['keeps nothing that is not of a record'],
  },
  {
    name: 'keeps again what is appended again',
    fault: (_, memory) => ({
      async append(records) {
        memory.kept.push(...records.map(only));
      },
    }),
    fails: [ONCE],
  },
  {
    name: 'looks before it inserts, and lets others in between',
    fault: (_, memory) => ({
      async append(records) {
        const known = new Set(memory.kept.map(({ id }) => id));
        await new Promise(setImmediate);
        memory.kept.push(...records.filter(({ id }) => !known.has(id)).map(only));
      },
    }),
    fails: [ONCE],
  },
  {
    name: 'removes nothing, and says so',
    fault: () => ({ prune: async () => 0 }),
    fails: [OLDER, OLDEST],
  },
  {
    name: 'removes what is of the very moment, too',
    fault: (sound) => ({
      prune: (before, limit) => sound.prune(new Date(before.getTime() + 1), limit),
    }),
    fails: [OLDER],
  },
  {
    name: 'heeds no limit',
    fault: (sound) => ({ prune: (before) => sound.prune(before, 1_000) }),
    fails: [OLDEST],
  },
  {
    name: 'removes the latest of the old first',
    fault: (_, memory) => ({
      async prune(before, limit) {
        const old = memory.kept.filter(({ date }) => date < before).slice(-limit);
        memory.kept = memory.kept.filter((each) => !old.includes(each));
        return old.length;
      },
    }),
    fails: [OLDEST],
  },
];

const broken = suite('A broken audit log fails its contract');

for (const { name, fault, fails } of BROKEN_LOGS) {
  broken(`that ${name}`, async () => {
    assert.equal(await failedCases(auditLogContract(inMemory(fault))), fails);
  });
}

broken('that is said to look at nothing again, and removes', async () => {
  const failed = await failedCases(auditLogContract(inMemory(), appendOnly));
  assert.equal(failed, ['is asked to remove what is old, and keeps it']);
});

broken.run();

const LOST = 'loses nothing, and no order, when it ends in an orderly way';
const REQUESTS = 'fails no request, and holds none up, by a log that fails or does not answer';
const AWAY = 'writes what its log would not take once that takes it, in order';
const SECRETS = 'writes of each event, and nothing of a name, an email, a password or a token';
const ANSWER = 'writes once what its log has taken without an answer';

/** A sound trail, into a log that stands between it and the one that is there. */
function into(between: (log: AuditLog) => AuditLog): OpenTrail {
  return (log) => trailTo(between(log));
}

const BROKEN_TRAILS: readonly {
  readonly name: string;
  readonly open: OpenTrail;
  readonly fails: readonly string[];
}[] = [
  {
    name: 'forgets what waits when it ends',
    open: (log) => {
      const sound = trailTo(log);
      return { listen: (auth) => sound.listen(auth), close: async () => {} };
    },
    fails: [LOST, AWAY, SECRETS],
  },
  {
    name: 'waits at its end for as long as its log likes',
    open: (log) => {
      let last = Promise.resolve();
      const sound = trailTo({
        append: (records) => (last = log.append(records)),
        prune: log.prune.bind(log),
      });
      const close = async () => {
        await sound.close();
        await last.catch(() => {});
      };
      return { listen: (auth) => sound.listen(auth), close };
    },
    fails: [REQUESTS],
  },
  {
    name: 'writes as it is told, and has its listeners fail with its log',
    open: (log): Trail => {
      const all: Promise<void>[] = [];
      const append: AuditLog['append'] = (records) => {
        const written = log.append(records);
        all.push(written);
        return written;
      };
      return {
        listen: (auth) =>
          void auth.on('loggedIn', ({ sessionId, user }) =>
            append([{ ...bare(sessionId), userId: user.id, sessionId }]),
          ),
        close: async () => void (await Promise.race([Promise.allSettled(all), soon()])),
      };
    },
    fails: [REQUESTS, AWAY, SECRETS],
  },
  {
    name: 'does not try again',
    open: into((log) => ({
      append: (records) => log.append(records).catch(() => {}),
      prune: log.prune.bind(log),
    })),
    fails: [AWAY],
  },
  {
    name: 'tries again under other ids',
    open: into((log) => ({
      append: (records) => log.append(records.map((each) => ({ ...each, id: newId() }))),
      prune: log.prune.bind(log),
    })),
    fails: [ANSWER],
  },
  {
    name: 'shortens a session to what fits',
    open: into((log) => ({
      append: (records) =>
        log.append(
          records.map((each) => ({ ...each, sessionId: each.sessionId?.slice(0, 10) ?? null })),
        ),
      prune: log.prune.bind(log),
    })),
    fails: [LOST],
  },
  {
    name: 'writes whose email it is',
    open: (log) => {
      let email = '';
      const sound = trailTo({
        append: (records) => log.append(records.map((each) => ({ ...each, account: email }))),
        prune: log.prune.bind(log),
      });
      const listen: Trail['listen'] = (auth) => {
        auth.on('loggedIn', ({ user }) => (email = user.email));
        sound.listen(auth);
      };
      return { listen, close: () => sound.close() };
    },
    fails: [SECRETS],
  },
];

let lastId = 0;

function newId(): string {
  lastId += 1;
  return `id ${lastId}`;
}

function bare(id: string): AuditRecord {
  const nothing = { reason: null, userId: null, account: null, sessionId: null, address: null };
  return { id, date: new Date(), event: 'loggedIn', outcome: 'success', ...nothing };
}

function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100));
}

const trails = suite('A broken audit trail fails its contract');

trails('by the cases that name its fault', async () => {
  const found = await Promise.all(
    BROKEN_TRAILS.map(({ open }) => failedCases(auditTrailContract(open, inMemory()))),
  );
  for (const [i, { name, fails }] of BROKEN_TRAILS.entries()) {
    assert.equal(found[i], fails, `one that ${name}`);
  }
});

trails.run();
