import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { openApi } from '../../src/adapters/http/openapi/document.ts';
import { EVERYTHING } from '../../tools/openapi-record.ts';
import { temporaryFolder } from '../support/programs.ts';

// Two linters of others, with rules of their own and OWASP's. They are 244 packages, and so are installed by
// tools/lint/run.js when they are first asked for.

const FOLDER = 'tools/lint';
const RULES = readFileSync(join(FOLDER, 'spectral.yaml'), 'utf8');

interface Verdict {
  readonly status: number | null;
  readonly output: string;
}

function run(name: string, args: readonly string[]): Verdict {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(FOLDER, 'run.js'), name, ...args],
    {
      encoding: 'utf8',
      timeout: 300_000,
      // It would tell its makers of each run, and ask for newer versions.
      env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    },
  );
  return { status, output: stdout + stderr };
}

const redocly = (path: string) =>
  run('redocly', ['lint', '--config', `${FOLDER}/redocly.yaml`, path]);

const spectral = (path: string, ruleset = `${FOLDER}/spectral.yaml`) =>
  run('spectral', ['lint', path, '--ruleset', ruleset, '--fail-severity', 'hint']);

const lint = suite('The linters of the OpenAPI document');

function withDocument(document: object, use: (path: string) => void): void {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'openapi.json');
    writeFileSync(path, JSON.stringify(document, undefined, 2));
    use(path);
  } finally {
    folder.remove();
  }
}

function documentFor(usersAccess: 'public' | 'authenticated'): object {
  const table = endpoints({ usersAccess, ...EVERYTHING });
  return openApi(table, { mount: '/api/auth' });
}

lint(
  'find nothing in the document on record, and nothing where the list of users is guarded',
  () => {
    const clean = (path: string) => {
      for (const { status, output } of [redocly(path), spectral(path)])
        assert.is(status, 0, output);
    };
    clean('docs/openapi.json');
    withDocument(documentFor('authenticated'), clean);
  },
);

lint('find what is wrong in another', () => {
  const text = JSON.stringify(documentFor('public'));
  const wrong = JSON.parse(
    text
      .replace('"operationId":"login"', '"operationId":"refreshToken"')
      .replace('"maxLength":4096', '"maxLength":"4096"'),
  ) as object;
  withDocument(wrong, (path) => {
    const [first, second] = [redocly(path), spectral(path)];
    assert.is(first.status, 1);
    assert.match(first.output, 'operation-operationId-unique');
    assert.is(second.status, 1);
    assert.match(second.output, 'oas3-schema');
  });
});

lint('are told of no exception that is none', () => {
  const [, excepted = ''] = RULES.split('\nrules:\n');
  const rules = [...excepted.matchAll(/^ +([\w:-]+): off$/gm)].map(([, name = '']) => name);
  const places = [...excepted.matchAll(/"\*\*#\/(.+)"/g)].map(([, place = '']) => place);
  assert.ok(rules.length > 8 && places.length > 15);
  // Beside the packages that it extends: it finds them from where it is.
  const bare = join(FOLDER, 'node_modules/without-exceptions.yaml');
  writeFileSync(bare, RULES.slice(0, RULES.indexOf('\nrules:\n') + 1));
  const { output } = spectral('docs/openapi.json', bare);
  for (const rule of rules) assert.match(output, rule);
  for (const place of places) {
    assert.match(output, decodeURI(place).split('/').join('.').replaceAll('~1', '/'));
  }
});

lint.run();
