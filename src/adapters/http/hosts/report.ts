import { errorName } from '../../../domain/errors.ts';

/** Whom hosts tell of faults. */
export interface ReportOptions {
  /**
   * Called for every fault that was answered with a 500, with the request if it was to an endpoint. A
   * fault may hold private data: do not print it whole. By default its name and code are printed on the
   * standard error output.
   */
  readonly report?: (fault: unknown, request?: FailedRequest) => unknown;
}

/** A request that was answered with a 500. */
export interface FailedRequest {
  /** The X-Request-Id of the reply. Undefined where the host has none. */
  readonly id: string | undefined;
  readonly method: string;
  /** The path of the endpoint, with its `{names}`. */
  readonly route: string;
}

/** Reports a fault. Never throws, nor lets a rejection go unhandled, whatever `report` does. */
export function reportFault(
  report: ReportOptions['report'],
  fault: unknown,
  request?: FailedRequest,
): void {
  const work = async () => (report ?? printKind)(fault, request);
  work().catch((failure: unknown) => printKind(failure));
}

/** Prints the name and code of a fault, and no text of it, which may be private. */
function printKind(fault: unknown): void {
  const code = fault instanceof Error && 'code' in fault ? ` ${String(fault.code)}` : '';
  const name = errorName(fault) + (/^ \w{1,100}$/.test(code) ? code : '');
  console.error(`portcullis: a request failed: ${name}`);
}
