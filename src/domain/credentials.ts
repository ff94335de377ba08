import { AuthError } from './errors.ts';

declare const emailBrand: unique symbol;

/** A canonical email address. Two accounts have the same email exactly when these bytes are equal. */
export type Email = string & { readonly [emailBrand]: true };

export const MAX_EMAIL_LENGTH = 254;
export const MAX_USERNAME_LENGTH = 255;
export const MAX_PASSWORD_BYTES = 1024;

/**
 * UTF-16 units of a password before NFC. One byte of an NFC text comes from 1.5 units at most (U+01D5 is
 * two bytes, and three units when decomposed), so a longer text cannot have `MAX_PASSWORD_BYTES`.
 */
const MAX_PASSWORD_UNITS = MAX_PASSWORD_BYTES * 1.5;

/** The rules for new passwords. Login does not apply them: existing passwords keep working. */
export interface PasswordPolicy {
  /** In code points, after NFC. */
  readonly passwordMinLength: number;
  /** Whether a password is too common to be safe. Absent: none is. */
  readonly isCommonPassword?: (password: string) => boolean;
}

/** True for a value that is absent, empty or no string, as untyped callers may send. */
export function isMissing(value: unknown): boolean {
  return typeof value !== 'string' || value === '';
}

/** Like `isMissing`, and also true for white space alone. */
export function isBlank(value: unknown): boolean {
  return typeof value !== 'string' || value.trim() === '';
}

// One address: no white space, no control or format characters, and none of the characters that
// could turn it into a list, a display name, a comment or a quoted string (RFC 5322 §3.2.3).
// Beyond ASCII any text may stand in it (RFC 6531).
const ATOM = String.raw`[^\s\p{Cc}\p{Cf}\p{Cs}\p{Co}@.,:;<>()\[\]\\"]+`;
const LABEL = String.raw`[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}\-]*[\p{L}\p{M}\p{N}])?`;
const ADDRESS = new RegExp(String.raw`^${ATOM}(?:\.${ATOM})*@${LABEL}(?:\.${LABEL})+$`, 'u');

// More combining marks in a row than any language writes (UAX #15, Stream-Safe Text Format). NFC sorts the
// marks of a run, in time that grows with the square of their number.
const TOO_MANY_MARKS = /\p{M}{31}/u;

/**
 * The one spelling of an address under which it is stored and looked up: trimmed,
 * NFC, lower case. `undefined` when the text is not one address of at most 254 characters, or has more
 * than 30 combining marks in a row. Idempotent: a canonical address is its own canonical form.
 */
export function canonicalEmail(text: string): Email | undefined {
  const trimmed = text.trim();
  // NFC composes at most six units into one code point (U+16126): a longer text cannot fit.
  if (trimmed.length > MAX_EMAIL_LENGTH * 6 || TOO_MANY_MARKS.test(trimmed)) return undefined;
  // Lower case can take a text out of NFC (J + caron has no composed capital, j + caron has).
  const canonical = trimmed.normalize('NFC').toLowerCase().normalize('NFC');
  return isOneAddress(canonical) ? canonical : undefined;
}

function isOneAddress(canonical: string): canonical is Email {
  if (codePoints(canonical) > MAX_EMAIL_LENGTH) return false;
  // NFC also takes some marks apart (U+0344), so that a run can be longer than it was.
  return !TOO_MANY_MARKS.test(canonical) && ADDRESS.test(canonical);
}

/** @throws AuthError `invalid_email`, also for a value that is no string */
export function parseEmail(text: unknown): Email {
  const email = typeof text === 'string' ? canonicalEmail(text) : undefined;
  if (email === undefined) throw new AuthError('invalid_email');
  return email;
}

/**
 * The name as it will be shown: trimmed, otherwise unchanged.
 * @throws AuthError `invalid_username` (control characters, ill-formed Unicode), `username_too_long`
 */
export function parseUsername(text: string): string {
  const username = text.trim();
  if (!username.isWellFormed() || /\p{Cc}/u.test(username)) throw new AuthError('invalid_username');
  if (codePoints(username) > MAX_USERNAME_LENGTH) {
    throw new AuthError('username_too_long', MAX_USERNAME_LENGTH);
  }
  return username;
}

/**
 * The one spelling of a password: NFC, otherwise unchanged. It never throws, so that texts that cannot be
 * passwords can still be compared and refused. A text that is too long in any spelling is not normalised:
 * the time of NFC grows with the square of a run of combining marks.
 */
export function canonicalPassword(text: string): string {
  return text.length > MAX_PASSWORD_UNITS ? text : text.normalize('NFC');
}

/**
 * Whether a canonical password can be one. Ill-formed Unicode must not reach the hasher: as UTF-8, every
 * lone surrogate becomes U+FFFD, so that different texts would match.
 */
export function isPassword(password: string): boolean {
  return isTextOfPassword(password) && utf8Bytes(password) <= MAX_PASSWORD_BYTES;
}

/**
 * Checks a new, canonical password against the rules for all passwords and those of the operator.
 * @throws AuthError `invalid_password`, `password_too_short`, `password_too_long`, `password_too_common`
 */
export function checkNewPassword(password: string, policy: PasswordPolicy): void {
  if (!isTextOfPassword(password)) throw new AuthError('invalid_password');
  if (codePoints(password) < policy.passwordMinLength) {
    throw new AuthError('password_too_short', policy.passwordMinLength);
  }
  if (utf8Bytes(password) > MAX_PASSWORD_BYTES) {
    throw new AuthError('password_too_long', MAX_PASSWORD_BYTES);
  }
  if (policy.isCommonPassword?.(password)) throw new AuthError('password_too_common');
}

/**
 * Parses the fields of a new account into what is stored and hashed. The first fault decides: missing
 * fields, then passwords that differ, then the format of each field.
 * @throws AuthError `missing_fields`, `passwords_differ`, and what the checks above refuse
 */
export function parseRegistration(
  given: { readonly username: string; readonly email: string } & GivenPassword,
  policy: PasswordPolicy,
): { readonly username: string; readonly email: Email; readonly password: string } {
  if (isBlank(given.username) || isBlank(given.email)) throw new AuthError('missing_fields');
  const password = parseAgreed(given);
  const identity = { email: parseEmail(given.email), username: parseUsername(given.username) };
  checkNewPassword(password, policy);
  return { ...identity, password };
}

/**
 * Parses a new password that was typed once, as an operator does.
 * @throws AuthError `missing_fields`, and what `checkNewPassword` refuses
 */
export function parseNewPassword(given: string, policy: PasswordPolicy): string {
  if (isMissing(given)) throw new AuthError('missing_fields');
  const password = canonicalPassword(given);
  checkNewPassword(password, policy);
  return password;
}

/**
 * Parses a change of password. The current password is not checked here.
 * @throws AuthError `missing_fields`, `passwords_differ`, and what `checkNewPassword` refuses
 */
export function parsePasswordChange(
  given: { readonly currentPassword: string } & GivenPassword,
  policy: PasswordPolicy,
): string {
  if (isMissing(given.currentPassword)) throw new AuthError('missing_fields');
  const password = parseAgreed(given);
  checkNewPassword(password, policy);
  return password;
}

interface GivenPassword {
  readonly password: string;
  readonly confirmPassword: string;
}

function parseAgreed({ password, confirmPassword }: GivenPassword): string {
  if (isMissing(password) || isMissing(confirmPassword)) throw new AuthError('missing_fields');
  const canonical = canonicalPassword(password);
  if (canonical !== canonicalPassword(confirmPassword)) throw new AuthError('passwords_differ');
  return canonical;
}

function isTextOfPassword(password: string): boolean {
  return password.isWellFormed() && !password.includes('\0');
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
