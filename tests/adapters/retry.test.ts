import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StoreUnwritable } from '../../src/application/index.ts';
import { faultOf, markConnecting } from '../../src/adapters/knex/connection/faults.ts';
import { reading, writing } from '../../src/adapters/knex/connection/retry.ts';

const classes = suite('A fault of the database');

const server = (code: string, errno: number, sqlState: string) => ({ code, errno, sqlState });

const BY_FAULT = {
  busy: [{ code: 'SQLITE_BUSY' }, { code: 'SQLITE_BUSY_SNAPSHOT' }],
  undone: [
    server('ER_LOCK_DEADLOCK', 1213, '40001'),
    server('ER_CHECKREAD', 1020, 'HY000'),
    { code: 'ER_LOCK_DEADLOCK' },
    server('ER_TRANSACTION_ROLLBACK_DURING_COMMIT', 3101, '40000'),
    { errno: 8002 },
    { errno: 1213 },
    { sqlState: '40001' },
  ],
  locked: [server('ER_LOCK_WAIT_TIMEOUT', 1205, 'HY000')],
  unsent: [
    { code: 'ECONNREFUSED', errno: -111, syscall: 'connect', fatal: true },
    { code: 'ETIMEDOUT', errorno: 'ETIMEDOUT', syscall: 'connect', fatal: true },
    { code: 'ECONNRESET', errno: -104, syscall: 'connect' },
    { code: 'ENOTFOUND', syscall: 'getaddrinfo' },
    server('ER_CON_COUNT_ERROR', 1040, '08004'),
    server('ER_UNKNOWN_COM_ERROR', 1047, '08S01'),
    { fatal: true },
  ],
  lost: [
    { code: 'PROTOCOL_CONNECTION_LOST', fatal: true },
    { code: 'ECONNRESET', errno: -104, syscall: 'read' },
    { code: 'EPIPE' },
    { code: 'ETIMEDOUT' },
    { errno: 2006 },
    { errno: 2013 },
    server('ER_ERROR_DURING_COMMIT', 1180, 'HY000'),
    server('ER_SERVER_SHUTDOWN', 1053, '08S01'),
  ],
  unprepared: [
    server('ER_BAD_DB_ERROR', 1049, '42000'),
    server('ER_NO_SUCH_TABLE', 1146, '42S02'),
    server('ER_BAD_FIELD_ERROR', 1054, '42S22'),
    server('ER_DBACCESS_DENIED_ERROR', 1044, '42000'),
    server('ER_TABLEACCESS_DENIED_ERROR', 1142, '42000'),
  ],
  slow: [server('ER_QUERY_TIMEOUT', 3024, 'HY000'), server('ER_STATEMENT_TIMEOUT', 1969, '70100')],
  readonly: [
    server('ER_OPTION_PREVENTS_STATEMENT', 1290, 'HY000'),
    server('ER_READ_ONLY_MODE', 1836, 'HY000'),
    server('ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION', 1792, '25006'),
    { code: 'SQLITE_READONLY' },
    { code: 'SQLITE_READONLY_DBMOVED' },
  ],
  full: [
    server('ER_DISK_FULL', 1021, 'HY000'),
    server('ER_RECORD_FILE_FULL', 1114, 'HY000'),
    { code: 'SQLITE_FULL' },
    { code: 'SQLITE_IOERR_WRITE' },
  ],
  final: [
    server('ER_DUP_ENTRY', 1062, '23000'),
    server('ER_ACCESS_DENIED_ERROR', 1045, '28000'),
    server('ER_DATA_TOO_LONG', 1406, '22001'),
    { code: 'SQLITE_CONSTRAINT_UNIQUE' },
    {},
  ],
} as const;

for (const [fault, all] of Object.entries(BY_FAULT)) {
  for (const signs of all) {
    classes(`with ${JSON.stringify(signs)} is ${fault}`, () => {
      assert.is(faultOf(failure(signs)), fault);
    });
  }
}

classes('of connecting reached nobody, unless the server has refused the user', () => {
  assert.is(faultOf(markConnecting(failure({ code: 'PROTOCOL_CONNECTION_LOST' }))), 'unsent');
  assert.is(faultOf(markConnecting(failure(BY_FAULT.final[1]))), 'final');
});

classes('of several hosts reached nobody where one of them may come back', () => {
  const [refused, denied] = [failure(BY_FAULT.unsent[0]), failure(BY_FAULT.final[1])];
  assert.is(faultOf(new AggregateError([denied, refused])), 'unsent');
  assert.is(faultOf(new AggregateError([denied, denied])), 'final');
});

classes('is no more than that where it is no error', () => {
  for (const thrown of [undefined, null, 'ECONNRESET', { code: 'ECONNRESET' }]) {
    assert.is(faultOf(thrown), 'final');
  }
});

classes.run();

const retries = suite('A statement that fails');

const HOST = {};
const IN_TRANSACTION = { isTransaction: true };

function failure(signs: object): Error {
  return Object.assign(new Error('the database failed'), signs);
}

/** Attempts that fail one after the other, and from then on give `done`. */
function failing(...faults: readonly object[]) {
  const attempts = {
    made: 0,
    attempt: async (): Promise<string> => {
      const fault = faults[attempts.made];
      attempts.made += 1;
      if (fault) throw fault instanceof Error ? fault : failure(fault);
      return 'done';
    },
  };
  return attempts;
}

const { undone, locked, unsent, lost, unprepared, slow, readonly, full, final } = BY_FAULT;

/** How often it is tried, by what it fails with each time. */
const TIMES = [
  { what: 'is undone', signs: undone[0], read: 5, write: 5 },
  { what: 'waits too long for others', signs: locked[0], read: 2, write: 2 },
  { what: 'reaches no server', signs: unsent[0], read: 5, write: 5 },
  { what: 'loses its connection', signs: lost[1], read: 5, write: 5 },
  { what: 'finds no table', signs: unprepared[1], read: 2, write: 2 },
  { what: 'takes too long', signs: slow[0], read: 2, write: 1 },
  { what: 'is refused', signs: final[0], read: 1, write: 1 },
  { what: 'may not write', signs: readonly[0], read: 1, write: 1 },
  { what: 'finds the disk full', signs: full[0], read: 1, write: 1 },
] as const;

for (const { what, signs, read, write } of TIMES) {
  retries(`because it ${what} is tried ${read} times as a read, ${write} as a write`, async () => {
    const always = Array.from({ length: 20 }, () => signs);
    const reads = failing(...always);
    assert.is((await rejection(reading(HOST, reads.attempt)))?.message, 'the database failed');
    assert.is(reads.made, read);
    const writes = failing(...always);
    const error = await rejection(writing(HOST, writes.attempt, { found: null }));
    assert.is(writes.made, write);
    const isUnwritable = signs === readonly[0] || signs === full[0];
    assert.is(error instanceof StoreUnwritable, isUnwritable);
    const said = isUnwritable ? error?.cause : error;
    assert.is(said instanceof Error && said.message, 'the database failed');
  });

  retries(`in a host's transaction because it ${what} is left to the host`, async () => {
    for (const isRead of [true, false]) {
      const once = failing(signs);
      await rejection(
        isRead
          ? reading(IN_TRANSACTION, once.attempt)
          : writing(IN_TRANSACTION, once.attempt, { found: async () => 'found' }),
      );
      assert.is(once.made, 1);
    }
  });
}

retries('gives what the next attempt gives', async () => {
  const twice = failing(undone[0], unsent[0]);
  assert.is(await writing(HOST, twice.attempt, { found: async () => 'found' }), 'done');
  assert.is(twice.made, 3);
});

retries('is tried for as long as a lock of SQLite is waited for, and no longer', async () => {
  const many = failing(...Array.from({ length: 12 }, () => BY_FAULT.busy[0]));
  assert.is(await writing(HOST, many.attempt, { found: null }), 'done');
  const endless = failing(...Array.from({ length: 1_000 }, () => BY_FAULT.busy[0]));
  const begun = performance.now();
  await rejection(writing(HOST, endless.attempt, { found: null, retryForMs: 100 }));
  assert.ok(performance.now() - begun >= 100 && endless.made < 1_000, String(endless.made));
});

retries('is not begun again when there is no time left', async () => {
  const late = failing(unsent[0]);
  await rejection(writing(HOST, late.attempt, { found: null, retryForMs: -1 }));
  assert.is(late.made, 1);
});

retries('of which the answer was lost is not made again where it was made', async () => {
  const once = failing(lost[0]);
  assert.is(await writing(HOST, once.attempt, { found: async () => 'found' }), 'found');
  assert.is(once.made, 1);
});

retries('of which the answer was lost is made again where it was not made', async () => {
  const once = failing(lost[0]);
  assert.is(await writing(HOST, once.attempt, { found: async () => undefined }), 'done');
  assert.is(once.made, 2);
});

retries('is looked for again when it is refused for what it may have done itself', async () => {
  // At the first look the server had not yet done what it was sent.
  let looks = 0;
  const found = async () => ((looks += 1) === 1 ? undefined : 'found');
  const taken = failing(lost[0], new Error('taken'));
  assert.is(await writing(HOST, taken.attempt, { found }), 'found');
  looks = 0;
  const nothing = failing(lost[0]);
  assert.is(await writing(HOST, nothing.attempt, { found }), 'found', 'a row that is not there');
});

retries('is refused where it was somebody else', async () => {
  const taken = failing(lost[0], new Error('taken'));
  const error = await rejection(writing(HOST, taken.attempt, { found: async () => undefined }));
  assert.is(error?.message, 'taken');
});

retries('is never called refused where nobody could look', async () => {
  const taken = failing(lost[0], new Error('taken'));
  let looks = 0;
  const found = async () => {
    if ((looks += 1) > 1) throw failure(final[0]);
    return undefined;
  };
  const error = await rejection(writing(HOST, taken.attempt, { found }));
  assert.is(error?.message, 'the database failed');
});

retries('is looked for again where the look fails', async () => {
  const once = failing(lost[0], lost[0]);
  const look = failing(unsent[0], lost[0]);
  assert.is(await writing(HOST, once.attempt, { found: look.attempt }), 'done');
  assert.equal([once.made, look.made], [1, 3]);
});

async function rejection(promise: Promise<unknown>): Promise<Error | undefined> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  return undefined;
}

retries.run();
