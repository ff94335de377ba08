import { canonicalPassword, type Email, isPassword } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import type { PasswordRejection, SessionEvent } from '../domain/events.ts';
import type { Account, UserId, UserRecord } from '../domain/user.ts';
import type { IdentifyPorts } from './authorize.ts';
import type { AttemptLimiter } from './limits/attempts.ts';
import { passwordLimits } from './limits/policy.ts';
import type { Ports, Verdict } from './ports.ts';

/** A password that somebody claims is that of an account. */
export interface PasswordClaim {
  /** Undefined where what was typed is no address. */
  readonly email: Email | undefined;
  readonly password: string;
  /** The user whose account it must be, where that is known already. */
  readonly userId?: UserId;
}

/** What became of a claim. */
export type PasswordProof =
  | {
      readonly kind: 'proved';
      readonly account: Account;
      /** In its canonical form. */
      readonly password: string;
      /** Whether the stored hash is weaker than those made today. */
      readonly needsRehash: boolean;
    }
  /** The password is wrong, or there is no such account. */
  | { readonly kind: 'wrong' }
  /** The password is right, and the user is disabled. */
  | { readonly kind: 'disabled' }
  /** The account is not that of `userId`: deleted since, or deleted and registered anew. */
  | { readonly kind: 'gone' };

/**
 * Checks a password against the account of an email: the only place that does. Each claim costs exactly
 * one `hasher.verify`, whether the account exists or not and whatever the password looks like; only
 * `gone` costs none.
 * @throws AuthError `service_busy`
 */
export async function provePassword(
  { users, hasher }: Pick<Ports, 'users' | 'hasher'>,
  { email, password: given, userId }: PasswordClaim,
): Promise<PasswordProof> {
  const account = email === undefined ? undefined : await users.findByEmail(email);
  if (userId !== undefined && account?.user.id !== userId) return { kind: 'gone' };
  const password = canonicalPassword(given);
  const hash = isPassword(password) ? account?.passwordHash : undefined;
  const verdict = checkVerdict(await hasher.verify(hash, password));
  if (account === undefined || verdict === 'wrong') return { kind: 'wrong' };
  if (account.user.disabled) return { kind: 'disabled' };
  return { kind: 'proved', account, password, needsRehash: verdict === 'outdated' };
}

/** The ports of what a signed-in user does with their password. */
export type AccountPorts = IdentifyPorts & Pick<Ports, 'hasher' | 'attempts' | 'events'>;

/**
 * Checks the password of a signed-in user again, within the limits on attempts, for an act that needs it.
 * @throws AuthError `wrong_password`, `too_many_attempts`, `service_busy`, `user_not_found`,
 * `invalid_access_token`
 */
export async function confirmPassword(
  ports: Pick<Ports, 'users' | 'hasher'>,
  limiter: AttemptLimiter,
  { user, address }: Pick<SessionEvent, 'user' | 'address'>,
  password: string,
): Promise<Account> {
  return limiter.run(passwordLimits(user.email, address), async () => {
    const claim = { email: user.email, password, userId: user.id };
    const proof = await provePassword(ports, claim);
    if (proof.kind === 'proved') return proof.account;
    throw new AuthError(REFUSALS[proof.kind]);
  });
}

const REFUSALS = {
  wrong: 'wrong_password',
  disabled: 'invalid_access_token',
  gone: 'user_not_found',
} as const;

/**
 * The refusal of an act whose password was confirmed, and that another change overtook: it is no longer
 * the password, or no longer the account.
 */
export async function overtakenRefusal(
  { users }: Pick<Ports, 'users'>,
  { id }: UserRecord,
): Promise<AuthError> {
  const user = await users.findById(id);
  if (user === undefined) return new AuthError('user_not_found');
  return new AuthError(user.disabled ? 'invalid_access_token' : 'wrong_password');
}

/** Publishes a refusal that may be a guess at the password; no other one. */
export function publishRejection(
  { events }: Pick<Ports, 'events'>,
  name: 'passwordChangeRejected' | 'accountDeletionRejected',
  event: SessionEvent,
  error: unknown,
): void {
  if (!(error instanceof AuthError)) return;
  const { code } = error;
  if (isRejection(code)) events.publish(name, { ...event, code });
}

function isRejection(code: AuthError['code']): code is PasswordRejection['code'] {
  return code === 'wrong_password' || code === 'too_many_attempts';
}

/**
 * Checks what a hasher written without TypeScript says: `true` or `false` must let nobody in.
 * @throws TypeError for anything but a verdict
 */
function checkVerdict(verdict: Verdict): Verdict {
  if (verdict === 'right' || verdict === 'outdated' || verdict === 'wrong') return verdict;
  throw new TypeError('a PasswordHasher verifies with right, outdated or wrong, and nothing else');
}
