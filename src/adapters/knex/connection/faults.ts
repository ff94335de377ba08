import type { ErrorSigns, Fault } from './dialect.ts';
import { DIALECTS } from './dialects.ts';

/** Codes of Node's network errors, which every server's driver passes on. */
const NETWORK_FAULTS: ReadonlyMap<unknown, Fault> = new Map([
  ['ECONNREFUSED', 'unsent'],
  ['EHOSTUNREACH', 'unsent'],
  ['ENETUNREACH', 'unsent'],
  ['ENOTFOUND', 'unsent'],
  ['EAI_AGAIN', 'unsent'],
  ['EADDRNOTAVAIL', 'unsent'],
  ['ECONNRESET', 'lost'],
  ['EPIPE', 'lost'],
  ['ETIMEDOUT', 'lost'],
]);

/** Errors of connecting: whatever else they say, no statement was sent. */
const connectingErrors = new WeakSet<Error>();

/** Marks an error as one of connecting, for `faultOf`; returns it. */
export function markConnecting<T extends Error>(error: T): T {
  connectingErrors.add(error);
  return error;
}

/** What an error of any database means. */
export function faultOf(error: unknown): Fault {
  if (!(error instanceof Error)) return 'final';
  if (error instanceof AggregateError) {
    return error.errors.some((each) => faultOf(each) === 'unsent') ? 'unsent' : 'final';
  }
  const signOf = (name: string): unknown => (name in error ? Reflect.get(error, name) : undefined);
  const signs: ErrorSigns = {
    code: signOf('code'),
    errno: signOf('errno'),
    sqlState: signOf('sqlState'),
    fatal: signOf('fatal'),
  };
  const fault = engineFault(signs) ?? NETWORK_FAULTS.get(signs.code) ?? 'final';
  const isConnecting = signOf('syscall') === 'connect' || connectingErrors.has(error);
  return fault === 'lost' && isConnecting ? 'unsent' : fault;
}

function engineFault(signs: ErrorSigns): Fault | undefined {
  for (const dialect of DIALECTS) {
    const fault = dialect.faultOf(signs);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Whether a unique key refused a value that is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return DIALECTS.some(({ uniqueViolation }) => uniqueViolation === codeOf(error));
}

/** Whether a server does not know a statement, which a newer or another one knows. */
export function isSyntaxError(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && DIALECTS.some(({ syntaxError }) => syntaxError === code);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
