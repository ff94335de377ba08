import type { ImportedLine } from '../adapters/knex/operator/user-import.ts';
import { USER_COLUMNS } from '../adapters/knex/user-row.ts';
import { AuthError, type UserRecord } from '../application/index.ts';
import { parseEmail, parseUsername } from '../domain/credentials.ts';
import { isRole } from '../domain/user.ts';

/** A user of a file: texts by the names below. */
export type Fields = ReadonlyMap<string, string>;

/** The fields of a user in files, named as the columns. An import ignores `id`: the store makes a new one. */
export const FIELD_NAMES = [...USER_COLUMNS, 'password_hash'] as const;
export const REQUIRED_FIELDS = ['username', 'email', 'password_hash'] as const;

/** A user with the names of the columns, for `--json` and for people. */
export function fieldsOf(user: UserRecord) {
  const { id, username, email, role, disabled, dateCreated } = user;
  return { id, username, email, role, disabled, date_created: dateCreated.toISOString() };
}

/** The length of the column. */
const MAX_HASH_LENGTH = 255;

/**
 * The account of a line, by the rules of a registration, but with the hash of a password.
 * @returns a sentence if the line cannot be imported
 * @throws AuthError `missing_fields`, `invalid_role`, and what `parseUsername` and `parseEmail` refuse
 */
export function toAccount(
  fields: Fields,
  reads: (hash: string) => boolean,
): ImportedLine['account'] {
  const field = (name: string) => fields.get(name)?.trim() || undefined;
  const [username, email, hash] = ['username', 'email', 'password_hash'].map(field);
  if (username === undefined || email === undefined || hash === undefined) {
    throw new AuthError('missing_fields');
  }
  const identity = { username: parseUsername(username), email: parseEmail(email) };
  // Django writes the name of its hasher before the hash.
  const passwordHash = hash.replace(/^(?:argon2(?=\$argon2)|bcrypt\$(?=\$2))/, '');
  if (passwordHash.length > MAX_HASH_LENGTH || !reads(passwordHash)) {
    return 'password_hash is of no known kind, damaged, or too dear to be checked';
  }
  const role = field('role') ?? 'user';
  if (!isRole(role)) throw new AuthError('invalid_role');
  const disabled = field('disabled') ?? 'false';
  if (!['true', 'false'].includes(disabled)) return 'disabled must be true or false';
  const account = { ...identity, passwordHash, role, disabled: disabled === 'true' };
  const date = field('date_created');
  if (date === undefined) return account;
  const dateCreated = readDate(date);
  return dateCreated ? { ...account, dateCreated } : 'date_created must be a time of ISO 8601';
}

const DATE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/;

/** Without a zone it is UTC. */
function readDate(text: string): Date | undefined {
  const [, day = '', time = '00:00', zone = 'Z'] = DATE.exec(text) ?? [];
  // The 30th of February would be taken for a day of March.
  const midnight = new Date(`${day}T00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return undefined;
  const date = new Date(`${day}T${time}${zone}`);
  const year = date.getUTCFullYear();
  return year >= 0 && year <= 9_999 ? date : undefined;
}
