/** The longest body that hosts read: they refuse a longer one with status 413. */
export const MAX_BODY_BYTES = 16 * 1024;

/**
 * How long a client whose body was refused may go on sending it. A client that is cut off at once may
 * miss the reply.
 */
export const LINGER_MS = 500;

/** Whether a Content-Length header announces a body that is too long. */
export function isTooLarge(contentLength: string | null | undefined): boolean {
  return Number(contentLength ?? 0) > MAX_BODY_BYTES;
}
