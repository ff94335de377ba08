import { account } from './account.ts';
import {
  type Definition,
  type DescribedEndpoint,
  describedEndpoint,
  type Endpoint,
  type Settings,
} from './endpoint.ts';
import { service } from './service.ts';
import { sessions } from './sessions.ts';
import { signIn } from './sign-in.ts';
import { users } from './users.ts';
import { USERS_ACCESS, type UsersAccess } from './users-access.ts';

export type { DescribedEndpoint, Endpoint };

/** Every endpoint, in the order of the OpenAPI document. */
const DEFINITIONS = { ...signIn, ...sessions, ...account, ...users, ...service };

/** The method and path of an endpoint. The path may have `{names}`, each for one segment. */
export type EndpointName = keyof typeof DEFINITIONS;
/** The status of an endpoint's success. */
export type StatusOf<Name extends EndpointName> = (typeof DEFINITIONS)[Name]['success']['status'];
/** The members of the body that an endpoint reads. */
export type FieldOf<Name extends EndpointName> = keyof NonNullable<
  (typeof DEFINITIONS)[Name]['fields']
>;

/** Which endpoints there are, and who may use them. */
export interface EndpointOptions {
  /** The endpoints to mount, by their names. Default: all of them. */
  readonly only?: readonly EndpointName[];
  /** Who may read GET /users. Default: `public`, as documented. */
  readonly usersAccess?: UsersAccess;
  /** JWKs (RFC 7517) with which others verify access tokens. Default: none are shown. */
  readonly publicKeys?: readonly Readonly<Record<string, string>>[];
  /**
   * Whether requests should come here: the answer of GET /health/ready. Without it there is neither that
   * nor GET /health/live. It is called at each request, so it should keep its answer for a moment.
   */
  readonly isReady?: () => Promise<boolean>;
}

/** Makes the text of the OpenAPI document of a table, for the path under which a client asks for it. */
export type Describe = (table: readonly DescribedEndpoint[], path: string) => Promise<string>;

const describeNothing: Describe = () => Promise.reject(new Error('nothing makes the document'));

/**
 * The endpoints that these options mount.
 * @param describe given by the hosts, so that nothing here loads the document's builder
 * @throws RangeError for a name of no endpoint, or a word that `usersAccess` does not know
 */
export function endpoints(
  options: EndpointOptions = {},
  describe: Describe = describeNothing,
): readonly DescribedEndpoint[] {
  const { only, usersAccess = 'public', publicKeys = [], isReady } = options;
  // A misspelt word must not show every user to everybody.
  if (!USERS_ACCESS.includes(usersAccess)) {
    throw new RangeError(`usersAccess cannot be ${usersAccess}`);
  }
  if (typeof only === 'string') throw new RangeError('only must be an array');
  const unknown = only?.find((name) => !Object.hasOwn(DEFINITIONS, name));
  if (unknown !== undefined) throw new RangeError(`no endpoint is named ${unknown}`);
  const settings: Settings = {
    usersAccess,
    publicKeys,
    isReady,
    describe: (path) => describe(table, path),
  };
  const mounted: ReadonlySet<string> = new Set(only ?? Object.keys(DEFINITIONS));
  const table: readonly DescribedEndpoint[] = Object.entries<Definition>(DEFINITIONS)
    .filter(([name, { isMounted }]) => mounted.has(name) && (isMounted?.(settings) ?? true))
    .map(([name, definition]) => describedEndpoint(name, definition, settings));
  return table;
}
