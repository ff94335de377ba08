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

/** A fault's text may hold what is private, so only its kind is printed. */
function reportByName(fault: unknown): void {
  const words = fault instanceof Error ? [fault.name] : [typeof fault];
  if (fault instanceof Error && 'code' in fault) words.push(String(fault.code));
  const safe = words.filter((word) => /^\w{1,100}$/.test(word));
  console.error(`portcullis: a request failed: ${safe.join(' ')}`);
}
