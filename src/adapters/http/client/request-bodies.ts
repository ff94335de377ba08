import type {
  AccountDeletion,
  Credentials,
  PasswordChanging,
  Registration,
} from '../../../application/index.ts';
import {
  canonicalEmail,
  canonicalPassword,
  isBlank,
  isMissing,
  isPassword,
  parsePasswordChange,
  parseRegistration,
} from '../../../domain/credentials.ts';
import { AuthError } from '../../../domain/errors.ts';

// A service refuses a body of more than 16 KiB unread, with no word on what is too long in it. What it
// would have said needs no look at an account: it is said here, and nothing is sent. What is but padded,
// with white space or in a longer normal form, is sent as short as it can be.

const MAX_LENGTH = 16 * 1024;
/** The length of a password is for the service to judge: it alone knows its policy. */
const NO_POLICY = { passwordMinLength: 0 };

/** As JSON, of texts alone: a date would become one, which in process is none, and a bigint a fault. */
export function jsonOf(body: object): string {
  const texts = Object.entries(body).filter(([, value]) => typeof value === 'string');
  return JSON.stringify(Object.fromEntries(texts));
}

/** @throws AuthError what `RegisterUser` does, but for what needs its ports */
export function registrationBody(given: Registration): object {
  const { username, email, password, confirmPassword } = given;
  const body = { username, email, password, confirm_password: confirmPassword };
  if (isReadable(body)) return body;
  const short = parseRegistration(given, NO_POLICY);
  return { ...short, confirm_password: short.password };
}

/** @throws AuthError `missing_credentials`, `invalid_credentials` */
export function credentialsBody({ email, password }: Credentials): object {
  if (isReadable({ email, password })) return { email, password };
  if (isBlank(email) || isMissing(password)) throw new AuthError('missing_credentials');
  const short = { email: canonicalEmail(email), password: canonicalPassword(password) };
  if (short.email === undefined || !isPassword(short.password)) {
    throw new AuthError('invalid_credentials');
  }
  return short;
}

/** @throws AuthError what `ChangePassword` does, but for what needs its ports */
export function changeBody(given: Omit<PasswordChanging, 'accessToken'>): object {
  const { currentPassword, password, confirmPassword } = given;
  const body = { current_password: currentPassword, password, confirm_password: confirmPassword };
  if (isReadable(body)) return body;
  const short = parsePasswordChange(given, NO_POLICY);
  return { current_password: proofIn(currentPassword), password: short, confirm_password: short };
}

/** @throws AuthError `wrong_password` */
export function deletionBody({ password }: Omit<AccountDeletion, 'accessToken'>): object {
  return isReadable({ password }) ? { password } : { password: proofIn(password) };
}

function isReadable(body: object): boolean {
  return new TextEncoder().encode(jsonOf(body)).length <= MAX_LENGTH;
}

function proofIn(given: string): string {
  const password = canonicalPassword(given);
  if (!isPassword(password)) throw new AuthError('wrong_password');
  return password;
}
