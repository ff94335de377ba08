import { refusalsOf, sharedResponses, takesRefreshToken } from './refusals.ts';
import {
  closed,
  type FieldName,
  FIELDS,
  HEADERS,
  PARAMETERS,
  type Part,
  refTo,
  SCHEMAS,
} from '../contract/schemas.ts';
import {
  type EndpointName,
  type Operation,
  OPERATIONS,
  TAGS,
  type UsersAccess,
} from '../contract/operations.ts';

// The wire contract as a document (OpenAPI 3.1). It is put together from what is served: the table of
// endpoints, the sentences of `messages.ts` and the hosts' own replies.

/** A row of the table of endpoints, as far as a document shows it. */
interface Row {
  readonly method: string;
  readonly path: string;
  readonly fields?: readonly FieldName[];
  readonly failure: string;
  readonly refreshCookie?: string;
}

export interface DocumentOptions {
  readonly usersAccess: UsersAccess;
  /** What the endpoints' paths come after, such as `/api/auth`; empty: nothing. */
  readonly mount: string;
}

/** What those who may read GET /users are asked for. */
const GUARDS: Partial<Record<UsersAccess, Pick<Operation, 'refusals'>>> = {
  authenticated: { refusals: [] },
  admin: { refusals: ['insufficient_role'] },
};

const DESCRIPTION = `Registration, sign-in and sessions, with JWT access and refresh tokens.

Send the \`access_token\` of a reply as \`Authorization: Bearer …\`; when it has expired, exchange the
\`refresh_token\` for another at /refresh.

Every refusal is \`{"message": …}\`. Unknown paths are answered with 404, other methods of known paths with
405 and \`Allow\`. HEAD is answered wherever GET is.`;

/** @returns the document of these endpoints: an object that is JSON */
export function openApi(table: readonly Row[], options: DocumentOptions): Part {
  const paths: Record<string, Record<string, Part>> = {};
  const used = new Set<string>();
  for (const row of table) {
    const name = `${row.method} ${row.path}`;
    if (!isEndpointName(name)) throw new RangeError(`${name} is not described`);
    const described = OPERATIONS[name];
    const guard = name === 'GET /users' ? GUARDS[options.usersAccess] : undefined;
    const refusals = [...described.refusals, ...(guard?.refusals ?? [])];
    const operation = guard ? { ...described, bearer: true as const, refusals } : described;
    used.add(operation.tag);
    (paths[row.path] ??= {})[row.method.toLowerCase()] = operationOf(row, operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Portcullis',
      version: API_VERSION,
      summary: 'Authentication that people can trust and embed.',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: options.mount || '/', description: 'Where this document comes from.' }],
    tags: Object.entries(TAGS)
      .filter(([tag]) => used.has(tag))
      .map(([name, description]) => ({ name, description })),
    paths,
    components: {
      ...componentsOf(paths),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            'The `access_token` of a reply (RFC 6750, RFC 9068), checked as RFC8725 wants.',
        },
        refreshCookie: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-portcullis_refresh_token',
          description:
            'In cookie mode. In development, where http has no secure cookies, it is named ' +
            '`portcullis_refresh_token`.',
        },
      },
    },
  };
}

/** Of the package, whose contract this is. */
export const API_VERSION = '0.1.0';

function isEndpointName(name: string): name is EndpointName {
  return Object.hasOwn(OPERATIONS, name);
}

/** Those that are referred to, here or by one that is; responses of no operation stay in any case. */
function componentsOf(paths: Part): Part {
  const parts = {
    schemas: SCHEMAS,
    headers: HEADERS,
    parameters: PARAMETERS,
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

function operationOf(row: Row, operation: Operation): Part {
  const { id, tag, summary, description, bearer, parameters = [] } = operation;
  const takesCookie = takesRefreshToken(row);
  const inPath = [...row.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const names = [...inPath, ...parameters, ...(row.refreshCookie ? ['Refresh-Token-Mode'] : [])];
  const security = bearer ? [{ bearer: [] }] : takesCookie ? [{}, { refreshCookie: [] }] : [];
  return {
    operationId: id,
    tags: [tag],
    summary,
    description,
    security,
    ...(names.length > 0 && {
      parameters: names.map((name) => refTo('parameters', name)),
    }),
    ...(row.fields && {
      requestBody: {
        // In cookie mode the token is in the cookie, and no body is read.
        required: !takesCookie,
        content: { 'application/json': bodyOf(row.fields) },
      },
    }),
    responses: {
      [operation.success.status]: successOf(row, operation),
      ...refusalsOf(row, operation),
    },
  };
}

function bodyOf(fields: readonly FieldName[]): Part {
  const examples: Record<string, unknown> = {};
  const properties: Record<string, Part> = {};
  for (const field of fields) {
    const { example, ...schema } = FIELDS[field];
    properties[field] = schema;
    examples[field] = example;
  }
  // Other members are not refused, and not read.
  return { schema: { ...closed(properties), additionalProperties: true }, example: examples };
}

function successOf({ refreshCookie }: Row, { success }: Operation): Part {
  const { description, schema, headers = {} } = success;
  const named = Object.entries(headers).map(([name, kept]) => [name, refTo('headers', kept)]);
  return {
    description,
    headers: {
      'Cache-Control': refTo('headers', 'NoStore'),
      ...Object.fromEntries(named),
      ...(refreshCookie && { 'Set-Cookie': refTo('headers', 'SetCookie') }),
    },
    ...(schema && {
      content: {
        'application/json': {
          schema: refTo('schemas', schema),
          example: SCHEMAS[schema].examples[0],
        },
      },
    }),
  };
}
