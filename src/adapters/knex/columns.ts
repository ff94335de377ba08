/** A host can tell its driver to give whole numbers as texts. */
export function toNumber(value: number | string): number {
  return Number(value);
}

/** A host can tell its driver to give these as texts, or as booleans. */
export function toBoolean(value: number | string | boolean): boolean {
  return Number(value) !== 0;
}

/**
 * Reads a time of a row that belongs to this user.
 * @throws Error for a time that another program wrote wrongly: it would fail later, within a reply
 */
export function parseDate(text: string, userId: number | string): Date {
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new Error(`a row of user ${userId} has a time that cannot be read`);
}
