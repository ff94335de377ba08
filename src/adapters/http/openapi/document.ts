import type { Tag } from '../contract/endpoint.ts';
import type { DescribedEndpoint } from '../contract/endpoints.ts';
import { closed, type Field, type Part, refTo } from '../contract/schemas.ts';
import { API_VERSION } from '../contract/version.ts';
import { bodyOf, componentsOf, REFRESH_TOKEN_MODE } from './components.ts';
import { refusalsOf, takesRefreshToken } from './refusals.ts';

// The wire contract as an OpenAPI 3.1 document, made of what is served: the definitions of the
// endpoints, the messages of errors and the hosts' own replies.

export interface DocumentOptions {
  /** What the endpoints' paths come after, such as `/api/auth`; empty: nothing. */
  readonly mount: string;
}

const DESCRIPTION = `Registration, sign-in and sessions, with JWT access and refresh tokens.

Send the \`access_token\` of a reply as \`Authorization: Bearer …\`; when it has expired, exchange the
\`refresh_token\` for another at /refresh.

Every refusal is \`{"message": …}\`. Unknown paths are answered with 404, other methods of known paths with
405 and \`Allow\`. HEAD is answered wherever GET is.`;

/** @returns the document of these endpoints: an object that is JSON */
export function openApi(table: readonly DescribedEndpoint[], { mount }: DocumentOptions): Part {
  const paths: Record<string, Record<string, Part>> = {};
  const tags = new Set<Tag>();
  for (const endpoint of table) {
    const { method, path, definition } = endpoint;
    tags.add(definition.tag);
    (paths[path] ??= {})[method.toLowerCase()] = operationOf(endpoint);
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
    servers: [{ url: mount || '/', description: 'Where this document comes from.' }],
    tags: [...tags],
    paths,
    components: {
      ...componentsOf(table, paths),
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

function operationOf(endpoint: DescribedEndpoint): Part {
  const { bearer, refreshCookie, definition } = endpoint;
  const { id, tag, summary, description, fields, success } = definition;
  const takesCookie = takesRefreshToken(endpoint);
  const ofCookieMode = refreshCookie ? [REFRESH_TOKEN_MODE] : [];
  const parameters = [...(definition.parameters ?? []), ...ofCookieMode];
  const security = bearer ? [{ bearer: [] }] : takesCookie ? [{}, { refreshCookie: [] }] : [];
  return {
    operationId: id,
    tags: [tag.name],
    summary,
    description,
    security,
    ...(parameters.length > 0 && {
      parameters: parameters.map(({ name }) => refTo('parameters', name)),
    }),
    ...(fields && {
      requestBody: {
        // In cookie mode the token is in the cookie, and no body is read.
        required: !takesCookie,
        content: { 'application/json': requestBody(fields) },
      },
    }),
    responses: { [success.status]: successOf(endpoint), ...refusalsOf(endpoint) },
  };
}

function requestBody(fields: Readonly<Record<string, Field>>): Part {
  const examples: Record<string, string> = {};
  const properties: Record<string, Part> = {};
  for (const [name, { example, ...schema }] of Object.entries(fields)) {
    properties[name] = schema;
    examples[name] = example;
  }
  // Other members are neither refused nor read.
  return { schema: { ...closed(properties), additionalProperties: true }, example: examples };
}

function successOf({ refreshCookie, definition: { success } }: DescribedEndpoint): Part {
  const body = bodyOf(success);
  const headers = Object.entries(success.headers ?? {}).map(([name, component]) => [
    name,
    refTo('headers', component.name),
  ]);
  return {
    description: success.description,
    headers: {
      'Cache-Control': refTo('headers', 'NoStore'),
      ...Object.fromEntries(headers),
      ...(refreshCookie && { 'Set-Cookie': refTo('headers', 'SetCookie') }),
    },
    ...(body && {
      content: {
        'application/json': {
          schema: refTo('schemas', body.component.name),
          example: body.example,
        },
      },
    }),
  };
}
