import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Definition,
  describedEndpoint,
  endpoint,
  type Settings,
} from '../../src/adapters/http/contract/endpoint.ts';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import {
  EMAIL_FIELD,
  optional,
  PASSWORD_FIELD,
  USERNAME,
} from '../../src/adapters/http/contract/schemas.ts';
import { API_VERSION } from '../../src/adapters/http/contract/version.ts';
import { type HttpRequest, NO_FIELDS } from '../../src/adapters/http/hosts/request.ts';
import { respond } from '../../src/adapters/http/hosts/respond.ts';
import { openApi } from '../../src/adapters/http/openapi/document.ts';
import { createAuth } from '../../src/application/index.ts';
import { EVERYTHING } from '../../tools/openapi-record.ts';
import { fakePorts } from '../support/fakes.ts';

const SETTINGS: Settings = {
  usersAccess: 'public',
  publicKeys: [],
  isReady: undefined,
  describe: async () => '',
};

/** Shows the fields that its handler gets. */
const renaming = endpoint({
  id: 'renameUser',
  tag: { name: 'Made up', description: 'For this test.' },
  summary: 'Rename a user',
  description: '',
  bearer: 'admin',
  fields: {
    email: EMAIL_FIELD,
    nickname: optional({ ...USERNAME, example: 'Countess' }),
    password: PASSWORD_FIELD,
  },
  success: {
    status: 202,
    description: 'The user will be renamed.',
    message: 'Renamed',
    body: {
      name: 'Renamed',
      members: { nickname: optional(USERNAME) },
      example: { nickname: 'Countess' },
    },
  },
  refusals: ['wrong_password'],
  handle: async (_auth, { fields }, { reply }) => reply.json(fields),
});

/** A member of JSON, by the names on the way to it. */
function at(json: unknown, ...names: readonly string[]): unknown {
  return names.reduce<unknown>(
    (part, name) =>
      typeof part === 'object' && part !== null ? Reflect.get(part, name) : undefined,
    json,
  );
}

function keysOf(json: unknown): string[] {
  return typeof json === 'object' && json !== null ? Object.keys(json) : [];
}

/** The document of endpoints, as clients get it. */
function documentOf(...definitions: readonly [name: string, definition: Definition][]): unknown {
  const table = definitions.map(([name, each]) => describedEndpoint(name, each, SETTINGS));
  return JSON.parse(JSON.stringify(openApi(table, { mount: '' })));
}

const defined = suite('An endpoint that is defined once');

defined('documents the members of its body that may be absent', () => {
  const post = at(documentOf(['POST /names', renaming]), 'paths', '/names', 'post');
  const body = at(post, 'requestBody', 'content', 'application/json');
  assert.equal(at(body, 'schema', 'required'), ['email', 'password']);
  assert.equal(keysOf(at(body, 'schema', 'properties')), ['email', 'nickname', 'password']);
  assert.equal(at(body, 'schema', 'properties', 'nickname'), USERNAME);
  const example = { email: 'ada@example.com', nickname: 'Countess', password: 'correct horse' };
  assert.equal(at(body, 'example'), example);
});

defined('gets an empty string for a member that is absent', async () => {
  const answer = async (json: object) => {
    const request: HttpRequest = {
      method: 'POST',
      path: '/names',
      host: 'localhost',
      address: undefined,
      accessToken: '',
      params: {},
      query: new URLSearchParams(),
      header: (name) => (name === 'content-type' ? 'application/json' : undefined),
      body: new TextEncoder().encode(JSON.stringify(json)),
      fields: NO_FIELDS,
      hasRefreshCookie: false,
    };
    const names = describedEndpoint('POST /names', renaming, SETTINGS);
    const { status, body } = await respond(names, createAuth(fakePorts()), request, {});
    assert.is(status, 202);
    return typeof body === 'string' ? (JSON.parse(body) as unknown) : undefined;
  };
  const given = { email: 'a@example.com', password: 'x' };
  const message = 'Renamed';
  assert.equal(await answer(given), { message, ...given, nickname: '' });
  assert.equal(await answer({ ...given, nickname: 7 }), { message, ...given, nickname: '' });
  assert.equal(await answer({ ...given, nickname: 'N' }), { message, ...given, nickname: 'N' });
});

defined('replies with the status and message that it documents', () => {
  const document = documentOf(['POST /names', renaming]);
  const schema = at(document, 'components', 'schemas', 'Renamed');
  assert.equal(at(schema, 'properties', 'message'), { type: 'string', const: 'Renamed' });
  assert.equal(at(schema, 'required'), ['message']);
  const responses = at(document, 'paths', '/names', 'post', 'responses');
  const media = at(responses, '202', 'content', 'application/json');
  assert.equal(at(media, 'example'), { message: 'Renamed', nickname: 'Countess' });
  assert.equal(at(media, 'schema'), { $ref: '#/components/schemas/Renamed' });
});

defined('documents the errors of the access token and the role that it needs', () => {
  const document = documentOf(['POST /names', renaming]);
  const post = at(document, 'paths', '/names', 'post');
  assert.equal(at(post, 'security'), [{ bearer: [] }]);
  const codes = (status: string) =>
    keysOf(at(post, 'responses', status, 'content', 'application/json', 'examples'));
  assert.equal(codes('401'), ['missing_access_token', 'invalid_access_token', 'wrong_password']);
  assert.equal(codes('403'), ['insufficient_role']);
  assert.equal(at(document, 'tags'), [{ name: 'Made up', description: 'For this test.' }]);
});

defined('cannot give another component the name of one', () => {
  const other = { ...renaming, success: { ...renaming.success, message: 'Done' } };
  assert.not.throws(() => documentOf(['POST /a', renaming], ['POST /b', renaming]));
  assert.throws(() => documentOf(['POST /a', renaming], ['POST /b', other]), /named Renamed/);
});

defined.run();

const all = suite('Every endpoint');

all('describes the names in its path', () => {
  let names = 0;
  for (const { path, definition } of endpoints(EVERYTHING)) {
    const described = (definition.parameters ?? []).filter(({ part }) => part['in'] === 'path');
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    assert.equal(
      described.map(({ part }) => part['name']),
      named,
    );
    names += named.length;
  }
  assert.ok(names > 0);
});

all('has an id of its own', () => {
  const ids = endpoints(EVERYTHING).map(({ definition }) => definition.id);
  assert.is(new Set(ids).size, ids.length);
});

all('is of the version of the package, and of the service', () => {
  for (const path of ['package.json', 'tools/build/package.json']) {
    assert.is(at(JSON.parse(readFileSync(path, 'utf8')), 'version'), API_VERSION, path);
  }
});

all.run();
