import type { AuditLog, AuditRecord } from '../../application/index.ts';
import { describeFault, printable } from './faults.ts';

/** Fields beside a message. A log accepts no others, so that nothing private gets into it. */
export interface Fields {
  /** The id of the request, also in its reply (`X-Request-Id`). */
  readonly requestId?: string | undefined;
  readonly method?: string;
  /** The path in the table of endpoints, never the one that the client wrote. */
  readonly route?: string | undefined;
  readonly status?: number | undefined;
  readonly milliseconds?: number;
  /** The IP address of the client. */
  readonly address?: string | undefined;
}

/**
 * The log of the service. Each call writes one line, which no text can forge, and returns at once.
 */
export interface Log {
  info(message: string, fields?: Fields): void;
  /** Something that an operator should look at. */
  alert(message: string, fields?: Fields): void;
  /** Written at every level. */
  audit(record: AuditRecord): void;
  /** Writes what `describeFault` returns, and nothing else of the fault. */
  error(fault: unknown, fields?: Fields): void;
}

export const LOG_LEVELS = ['error', 'warn', 'info'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** An audit log that writes records as lines of a log. It keeps none, so it never prunes. */
export function auditInto(log: Pick<Log, 'audit'>): AuditLog {
  return {
    async append(records) {
      for (const record of records) log.audit(record);
    },
    prune: async () => 0,
  };
}

type Output = Pick<NodeJS.WriteStream, 'write' | 'writableLength'>;

/** Lines for people: `info` and `audit` go to `output`, all else to standard error. */
export function textLog(level: LogLevel = 'info', output: Output = process.stdout): Log {
  const toOutput = outputTo(output, describeDropped);
  const toStderr = outputTo(process.stderr, describeDropped);
  const isOn = (wanted: LogLevel) => LOG_LEVELS.indexOf(wanted) <= LOG_LEVELS.indexOf(level);
  return {
    info(message, fields) {
      if (isOn('info')) toOutput(printable(message + textOf(fields)));
    },
    alert(message, fields) {
      if (isOn('warn')) toStderr(printable(`alert ${message}${textOf(fields)}`));
    },
    audit(record) {
      const { event, outcome, reason, userId, account, sessionId, address } = record;
      const words = [
        `audit ${event} ${outcome}`,
        reason,
        userId !== null && `user ${userId}`,
        account && `account ${account}`,
        sessionId && `session ${sessionId}`,
        address && `from ${address}`,
      ];
      toOutput(printable(words.filter(Boolean).join(', ')));
    },
    error(fault, fields) {
      toStderr(`error ${describeFault(fault)}${printable(textOf(fields))}`);
    },
  };
}

function describeDropped(lines: number): string {
  return `alert ${lines} lines were dropped, since nobody read them`;
}

function textOf(fields: Fields = {}): string {
  const { method, route, requestId, status, milliseconds, address } = fields;
  const words = [
    method && `${method} ${route ?? '(no route)'}`,
    status,
    milliseconds !== undefined && `${milliseconds.toFixed(1)} ms`,
    address && `from ${address}`,
    requestId && `request ${requestId}`,
  ];
  const shown = words.filter((word) => word !== undefined && word !== false && word !== '');
  return shown.length > 0 ? ` [${shown.join(', ')}]` : '';
}

/** Lines of JSON, written by pino. */
export async function jsonLog(
  level: LogLevel = 'info',
  output: Output = process.stdout,
): Promise<Log> {
  const { pino } = await import('pino');
  const line = (message: string) =>
    JSON.stringify({ level: 'warn', time: new Date().toISOString(), msg: message });
  const write = outputTo(output, (lines) => line(describeDropped(lines)));
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (text) => write(text.trimEnd()) },
  );
  const always = logger.child({}, { level: 'info' });
  return {
    info: (message, fields) => logger.info(recordOf(fields), printable(message)),
    alert: (message, fields) => logger.warn(recordOf(fields), printable(message)),
    audit: (record) => always.info(auditOf(record), 'audit'),
    error: (fault, fields) => logger.error(recordOf(fields), describeFault(fault)),
  };
}

function recordOf({ requestId, method, route, status, milliseconds, address }: Fields = {}) {
  return {
    request_id: requestId,
    method,
    route,
    status,
    duration_ms: milliseconds === undefined ? undefined : Math.round(milliseconds * 1000) / 1000,
    client_address: address,
  };
}

/** Names the fields as the table of audit records does. */
function auditOf(record: AuditRecord) {
  const { id, date, event, outcome, reason, userId, account, sessionId, address } = record;
  return {
    id,
    date_created: date.toISOString(),
    event,
    outcome,
    reason: reason ?? undefined,
    user_id: userId ?? undefined,
    account: account ?? undefined,
    session_id: sessionId ?? undefined,
    client_address: address ?? undefined,
  };
}

/**
 * Lines are dropped while a slow reader has more than this unread: they must not fill the memory.
 */
const MAX_UNREAD_BYTES = 64 * 1024;

/** Writes lines. Drops them while nobody reads, and reports how many afterwards. */
function outputTo(stream: Output, describe: (dropped: number) => string): (line: string) => void {
  let dropped = 0;
  return (line) => {
    if (stream.writableLength > MAX_UNREAD_BYTES) {
      dropped += 1;
      return;
    }
    if (dropped > 0) stream.write(`${describe(dropped)}\n`);
    dropped = 0;
    stream.write(`${line}\n`);
  };
}
