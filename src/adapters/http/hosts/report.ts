import { errorName } from '../../../domain/errors.ts';

/** Whom hosts tell of faults. */
export interface ReportOptions {
  /**
   * Told of every fault that was answered with a 500, and of the request where it is one to an endpoint. A
   * fault may hold private data: do not print it whole. Unless given, its name and code are printed on the
   * standard error output.
   */
  readonly report?: (fault: unknown, request?: FailedRequest) => unknown;
}

/** A request that was answered with a 500. */
export interface FailedRequest {
  /** In the reply too, as X-Request-Id; undefined where the host has none. */
  readonly id: string | undefined;
  readonly method: string;
  /** The path as the table has it, with its `{names}`. */
  readonly route: string;
}

/** Tells of a fault whom it is to be told; what throws at that must not keep anybody from an answer. */
export function tell(
  report: ReportOptions['report'],
  fault: unknown,
  request?: FailedRequest,
): void {
  const work = async () => (report ?? reportByName)(fault, request);
  work().catch((failure: unknown) => reportByName(failure));
}

/** Prints the name and code of a fault, and no text of it, which may be private. */
function reportByName(fault: unknown): void {
  const code = fault instanceof Error && 'code' in fault ? ` ${String(fault.code)}` : '';
  const name = errorName(fault) + (/^ \w{1,100}$/.test(code) ? code : '');
  console.error(`portcullis: a request failed: ${name}`);
}
