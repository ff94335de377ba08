/**
 * Rejection of a write while its store takes none: it is read-only, or the disk is full. Nothing of the
 * write was done, and reads go on. `cause` is the error of the store.
 */
export class StoreUnwritable extends Error {
  override readonly name = 'StoreUnwritable';

  constructor(cause: unknown) {
    super('the store takes no writes', { cause });
  }
}
