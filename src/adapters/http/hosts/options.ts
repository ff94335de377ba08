import type { Auth, Role } from '../../../application/index.ts';
import { checkOptions, isOrigin } from '../../../domain/options.ts';
import { isRole } from '../../../domain/user.ts';
import type { EndpointOptions } from '../contract/endpoints.ts';
import type { ReportOptions } from './report.ts';

/** Whom `requireUser` lets through, and who is told of faults. */
export interface RequireOptions extends ReportOptions {
  /** The least role that the user must have: others get 403. Default: any user. */
  readonly role?: Role;
}

/** The options of every host. */
export interface HostOptions extends EndpointOptions, ReportOptions {
  /** Origins (`https://app.example.com`) whose scripts may use the API in a browser. Default: none. */
  readonly corsOrigins?: readonly string[];
  /**
   * Whether cookies go without TLS, under a name that neighbours can set too: for development on
   * http://localhost. By default they are `Secure` and `__Host-`.
   */
  readonly insecureCookies?: boolean;
}

const HOST_OPTIONS = [
  'only',
  'usersAccess',
  'publicKeys',
  'isReady',
  'report',
  'corsOrigins',
  'insecureCookies',
];

/**
 * Rejects unknown and malformed options, for callers without TypeScript: a misspelt option would
 * otherwise be ignored silently.
 * @param own the names of the options that this host has besides `HostOptions`
 * @throws TypeError without use cases, RangeError for an unknown or malformed option
 */
export function checkHost(auth: Auth, options: object, own: readonly string[] = []): void {
  if (typeof auth?.login !== 'function') throw new TypeError('there are no use cases to mount');
  checkOptions(options, [...HOST_OPTIONS, ...own]);
  const given: { [name in keyof HostOptions]?: unknown } = options;
  const { insecureCookies = false, isReady, corsOrigins = [] } = given;
  // A text such as 'false' would count as true.
  if (typeof insecureCookies !== 'boolean') {
    throw new RangeError('insecureCookies must be true or false');
  }
  if (isReady !== undefined && typeof isReady !== 'function') {
    throw new RangeError('isReady must be a function');
  }
  // A text includes each part of itself: a page of such an origin would be let in with its cookies.
  if (!Array.isArray(corsOrigins) || !corsOrigins.every(isOrigin)) {
    throw new RangeError('corsOrigins must be a list of origins such as https://app.example.com');
  }
}

/**
 * Rejects unknown options and roles, for callers without TypeScript: a misspelt role must not let
 * everybody through.
 * @throws TypeError without use cases, RangeError for an unknown option or role
 */
export function checkGuard(auth: Pick<Auth, 'authorize'>, options: RequireOptions): void {
  if (typeof auth?.authorize !== 'function') throw new TypeError('there are no use cases to ask');
  checkOptions(options, ['report', 'role']);
  if ('role' in options && !isRole(options.role)) {
    throw new RangeError(`role cannot be ${String(options.role)}`);
  }
}
