/** A whole hash of any kind of argon2, of 16 bytes or more. */
export const PHC =
  /^\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=\d{1,10},t=\d{1,10},p=\d{1,8}\$[\w+/]{11,}\$[\w+/]{22,}$/;

/** What the check of a hash takes. */
export interface Cost {
  /** The hash as far as it says what it costs. */
  readonly prefix: string;
  /** argon2id of version 19, and not an older kind. */
  readonly isCurrent: boolean;
  readonly memoryKib: number;
  readonly passes: number;
}

/** Undefined where it is no hash of argon2, or of parameters that argon2 does not take (RFC 9106, 3.1). */
export function readCost(phc: string): Cost | undefined {
  const [prefix = '', kind, version, memory, time, lanes] =
    /^\$argon2(id|i|d)\$(?:v=(\d{1,9})\$)?m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,8})\$/.exec(phc) ?? [];
  const [memoryKib, passes, parallelism] = [memory, time, lanes].map(Number);
  if (!memoryKib || !passes || !parallelism || memoryKib < 8 * parallelism) return undefined;
  return { prefix, isCurrent: kind === 'id' && version === '19', memoryKib, passes };
}

/** What every hash of these parameters begins with. */
export function hashPrefix(parameters: HashParameters): string {
  const { memoryKib, passes, parallelism } = parameters;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}$`;
}

/** What a hash is made with. */
interface HashParameters {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
}
