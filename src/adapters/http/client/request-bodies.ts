import type {
  DeleteAccountInput,
  LoginInput,
  ChangePasswordInput,
  RegisterUserInput,
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
import type { EndpointName, FieldOf } from '../contract/endpoints.ts';

// A service refuses a body of more than 16 KiB without reading it, so its reply does not tell which
// member is too long. Therefore the client checks such a body itself, and throws what the use case would.
// A body that is long only by white space, or by its normal form, is shortened and sent.

const MAX_BODY_BYTES = 16 * 1024;
/** Only the service knows its policy, so it checks how short a password may be. */
const NO_POLICY = { passwordMinLength: 0 };

/** The members of a body that an endpoint reads. */
export type BodyOf<Name extends EndpointName> = Readonly<Record<FieldOf<Name>, unknown>>;

/** The string members as JSON: `JSON.stringify` would make a string of a date, and throw at a bigint. */
export function jsonOf(body: object): string {
  const texts = Object.entries(body).filter(([, value]) => typeof value === 'string');
  return JSON.stringify(Object.fromEntries(texts));
}

/** @throws AuthError like `RegisterUser`, except for what needs its ports */
export function registrationBody(given: RegisterUserInput): BodyOf<'POST /register'> {
  const { username, email, password, confirmPassword } = given;
  const body = { username, email, password, confirm_password: confirmPassword };
  if (isShort(body)) return body;
  const short = parseRegistration(given, NO_POLICY);
  return { ...short, confirm_password: short.password };
}

/** @throws AuthError `missing_credentials`, `invalid_credentials` */
export function credentialsBody({ email, password }: LoginInput): BodyOf<'POST /login'> {
  if (isShort({ email, password })) return { email, password };
  if (isBlank(email) || isMissing(password)) throw new AuthError('missing_credentials');
  const short = { email: canonicalEmail(email), password: canonicalPassword(password) };
  if (short.email === undefined || !isPassword(short.password)) {
    throw new AuthError('invalid_credentials');
  }
  return short;
}

/** @throws AuthError like `ChangePassword`, except for what needs its ports */
export function changeBody(
  given: Omit<ChangePasswordInput, 'accessToken'>,
): BodyOf<'POST /password'> {
  const { currentPassword, password, confirmPassword } = given;
  const body = { current_password: currentPassword, password, confirm_password: confirmPassword };
  if (isShort(body)) return body;
  const short = parsePasswordChange(given, NO_POLICY);
  return { current_password: proofIn(currentPassword), password: short, confirm_password: short };
}

/** @throws AuthError `wrong_password` */
export function deletionBody({
  password,
}: Omit<DeleteAccountInput, 'accessToken'>): BodyOf<'DELETE /account'> {
  return isShort({ password }) ? { password } : { password: proofIn(password) };
}

function isShort(body: object): boolean {
  return new TextEncoder().encode(jsonOf(body)).length <= MAX_BODY_BYTES;
}

function proofIn(given: string): string {
  const password = canonicalPassword(given);
  if (!isPassword(password)) throw new AuthError('wrong_password');
  return password;
}
