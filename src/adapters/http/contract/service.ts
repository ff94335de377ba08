import { endpoint } from './endpoint.ts';
import { NOT_READY, PUBLIC_FOR_MINUTES } from './reply.ts';
import { constant } from './schemas.ts';
import { API_VERSION } from './version.ts';

const tag = { name: 'Service', description: 'What the service says of itself.' };

const PUBLIC_FOR_MINUTES_HEADER = {
  'Cache-Control': {
    name: 'PublicForMinutes',
    part: {
      description: 'It may be some minutes old.',
      required: true,
      schema: constant(PUBLIC_FOR_MINUTES['Cache-Control']),
    },
  },
};

export const service = {
  'GET /.well-known/jwks.json': endpoint({
    id: 'getPublicKeys',
    tag,
    summary: 'Get the keys to verify access tokens with',
    description: 'A JSON Web Key Set (RFC 7517). Fetch it again at a `kid` that is not in it.',
    isMounted: ({ publicKeys }) => publicKeys.length > 0,
    success: {
      status: 200,
      description: 'The public keys.',
      body: {
        name: 'KeySet',
        members: {
          keys: {
            type: 'array',
            items: {
              type: 'object',
              description: 'A JSON Web Key (RFC 7517): members go by its `kty`.',
              properties: {
                kty: { type: 'string', enum: ['RSA', 'EC'] },
                use: { type: 'string', const: 'sig' },
                alg: { type: 'string', enum: ['RS256', 'ES256'] },
                kid: { type: 'string', pattern: '^[!-~]+$', maxLength: 255 },
              },
              required: ['kty', 'alg', 'kid'],
              additionalProperties: {
                type: 'string',
                pattern: '^[A-Za-z0-9_-]+$',
                maxLength: 2048,
              },
            },
          },
        },
        example: {
          keys: [
            { kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', use: 'sig', alg: 'ES256', kid: 'aQ' },
          ],
        },
      },
      headers: PUBLIC_FOR_MINUTES_HEADER,
    },
    refusals: [],
    handle: async (_auth, _input, { reply, settings }) =>
      reply.json({ keys: settings.publicKeys }, PUBLIC_FOR_MINUTES),
  }),

  'GET /openapi.json': endpoint({
    id: 'getOpenApi',
    tag,
    summary: 'Get this document',
    description: 'It describes the endpoints that are there, as they are set up.',
    success: {
      status: 200,
      description: 'An OpenAPI 3.1 document.',
      body: {
        name: 'Document',
        schema: {
          type: 'object',
          description: 'What it may hold is for the OpenAPI Specification to say.',
          properties: { openapi: { type: 'string', pattern: '^3\\.1\\.\\d+$', maxLength: 10 } },
          required: ['openapi'],
          additionalProperties: true,
        },
        example: {
          openapi: '3.1.0',
          info: { title: 'Portcullis', version: API_VERSION },
          paths: {},
        },
      },
      headers: PUBLIC_FOR_MINUTES_HEADER,
    },
    refusals: [],
    handle: async (_auth, { path }, { reply, settings }) =>
      reply.text(await settings.describe(path), PUBLIC_FOR_MINUTES),
  }),

  'GET /health/live': endpoint({
    id: 'getLiveness',
    tag,
    summary: 'Tell that the process answers',
    description:
      'It looks at nothing else. Where there is no answer, the process is to be replaced.',
    isMounted: ({ isReady }) => isReady !== undefined,
    success: {
      status: 200,
      description: 'It answers.',
      message: 'Alive',
      body: { name: 'Alive', members: {}, example: {} },
    },
    refusals: [],
    handle: async (_auth, _input, { reply }) => reply.json({}),
  }),

  'GET /health/ready': endpoint({
    id: 'getReadiness',
    tag,
    summary: 'Tell whether requests should come here',
    description:
      'Not while the database does not answer, nor once the service has been told to stop. The ' +
      'database is asked once a second at most, however many ask.',
    isMounted: ({ isReady }) => isReady !== undefined,
    success: {
      status: 200,
      description: 'Requests should come.',
      message: 'Ready',
      body: { name: 'Ready', members: {}, example: {} },
    },
    refusals: [],
    replies: { not_ready: NOT_READY },
    handle: async (_auth, _input, { reply, settings }) =>
      (await settings.isReady?.()) ? reply.json({}) : NOT_READY,
  }),
};
