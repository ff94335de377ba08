import { JSON_HEADERS } from '../contract/reply.ts';
import { closed, type Component, constant, type Part } from '../contract/schemas.ts';
import type { Success } from '../contract/endpoint.ts';
import type { DescribedEndpoint } from '../contract/endpoints.ts';
import {
  OWN_USER_EXAMPLE,
  OWN_USER_MEMBERS,
  USER_EXAMPLE,
  USER_MEMBERS,
} from '../contract/shown-user.ts';
import { sharedResponses } from './refusals.ts';

/** Schemas that those of replies refer to. */
const SCHEMAS = {
  User: { ...closed(USER_MEMBERS), examples: [USER_EXAMPLE] },
  OwnUser: { ...closed(OWN_USER_MEMBERS), examples: [OWN_USER_EXAMPLE] },
};

/** The parameter of every endpoint that has a part in cookie mode. */
export const REFRESH_TOKEN_MODE: Component = {
  name: 'Refresh-Token-Mode',
  part: {
    name: 'Refresh-Token-Mode',
    in: 'header',
    description:
      'Has the refresh token travel in a cookie that scripts cannot read, and never in a body. ' +
      'Without it no cookie is looked at.',
    schema: { type: 'string', enum: ['cookie'] },
  },
};

/** Headers that the document adds to replies. */
const HEADERS = {
  NoStore: {
    description: 'Nobody is to keep it.',
    required: true,
    schema: constant(JSON_HEADERS['Cache-Control']),
  },
  SetCookie: {
    description:
      'In cookie mode: the refresh token, or the end of its cookie (`Max-Age=0`). HttpOnly, ' +
      'SameSite=Strict, for as long as the token is good.',
    schema: {
      type: 'string',
      pattern: '^(?:__Host-)?portcullis_refresh_token=[^;]*; ',
      maxLength: 8192,
    },
  },
};

/**
 * The components of 0.1.0 keep their places, so that a new document differs from the one on record in
 * what is new. Others follow in the order of the endpoints.
 */
const ORDER = [
  'User OwnUser Registered SignedIn Refreshed Greeting UserList SessionList Identity PasswordChanged',
  'KeySet Alive Ready Document',
  'NoStore PublicForMinutes Link PreferenceApplied SetCookie',
  'id limit after email Prefer Refresh-Token-Mode',
].flatMap((names) => names.split(' '));

/**
 * The components that the paths of these endpoints refer to, directly or by one that they refer to. The
 * responses of unknown paths and methods are there in any case.
 * @throws RangeError if two different parts have one name
 */
export function componentsOf(table: readonly DescribedEndpoint[], paths: Part): Part {
  const definitions = table.map(({ definition }) => definition);
  const schemas = definitions.flatMap(({ success }) => bodyOf(success)?.component ?? []);
  const headers = definitions.flatMap(({ success }) => Object.values(success.headers ?? {}));
  const parameters = definitions.flatMap((definition) => definition.parameters ?? []);
  const parts = {
    schemas: named(schemas, SCHEMAS),
    headers: named(headers, HEADERS),
    parameters: named([...parameters, REFRESH_TOKEN_MODE]),
    responses: sharedResponses(),
  };
  const isUnrouted = (name: string) => ['NotFound', 'MethodNotAllowed'].includes(name);
  const kept = (referring: unknown) => {
    const text = JSON.stringify(referring);
    return Object.fromEntries(
      Object.entries(parts).map(([kind, all]) => {
        const isUsed = ([name]: [string, unknown]) =>
          isUnrouted(name) || text.includes(`"#/components/${kind}/${name}"`);
        return [kind, Object.fromEntries(Object.entries(all).filter(isUsed))];
      }),
    );
  };
  return kept([paths, kept(paths)]);
}

/** The body of a success: its schema and an example. Undefined if there is no body. */
export function bodyOf({
  message,
  body,
}: Success): { readonly component: Component; readonly example: unknown } | undefined {
  if (body === undefined) return undefined;
  const { name } = body;
  let schema: Part;
  let { example } = body;
  if ('schema' in body) schema = body.schema;
  else if (message === undefined) schema = closed(body.members);
  else {
    schema = closed({ message: constant(message), ...body.members });
    example = { message, ...body.example };
  }
  return { component: { name, part: { ...schema, examples: [example] } }, example };
}

function named(components: readonly Component[], others: Readonly<Record<string, Part>> = {}) {
  const parts = new Map(Object.entries(others));
  for (const { name, part } of components) {
    const other = parts.get(name) ?? part;
    if (JSON.stringify(other) !== JSON.stringify(part)) {
      throw new RangeError(`two components are named ${name}`);
    }
    parts.set(name, part);
  }
  const known = ORDER.filter((name) => parts.has(name));
  return Object.fromEntries(
    [...new Set([...known, ...parts.keys()])].map((name) => [name, parts.get(name)]),
  );
}
