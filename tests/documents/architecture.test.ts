import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

// Circles of imports are left to oxlint (import/no-cycle).

const APPLICATION = 'src/application/index.ts';
const CORE = [APPLICATION, 'src/domain/'];
/** The parts of the application layer that adapters use, beside its face. */
const FOR_ADAPTERS = ['src/application/audit.ts', 'src/application/limits/queue.ts'];
const CONTRACT = 'src/adapters/http/contract/';
const OPENAPI = 'src/adapters/http/openapi/';
/** Where adapters may import each other's types. */
const SHARED_TYPES = [
  CONTRACT,
  'src/adapters/http/hosts/server.ts',
  'src/adapters/knex/connection/open.ts',
  'src/adapters/knex/connection/target.ts',
  'src/adapters/log/log.ts',
];
const CLI = ['src/testing/index.ts', 'node:', 'package'];
/** What each place may import besides itself; the first place that a path fits decides. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/domain/': [],
  'src/application/': ['src/domain/'],
  [CONTRACT]: CORE,
  [OPENAPI]: [CONTRACT, 'src/domain/'],
  'src/adapters/http/hosts/': [CONTRACT, OPENAPI, ...CORE, 'node:', 'package'],
  'src/adapters/http/client/': [CONTRACT, ...CORE],
  'src/adapters/': [...FOR_ADAPTERS, ...CORE, 'node:', 'package'],
  'src/testing/': [APPLICATION, 'node:'],
  'src/composition.ts': ['src/adapters/', APPLICATION, 'node:', 'package', 'container'],
  'src/serve.ts': ['src/composition.ts', 'src/adapters/', APPLICATION, 'node:'],
  'src/main.ts': ['src/serve.ts', 'src/composition.ts', 'src/adapters/', 'node:'],
  'src/cli/': ['src/main.ts', 'src/composition.ts', 'src/adapters/', ...CORE, ...CLI],
};
const CONTAINER = /^(?:tsyringe|reflect-metadata)(?:\/|$)/;
const MAX_LINES = 300;
const MAX_COLUMNS = 200;
const MAX_FILES = 18;
const KEBAB_CASE = /^(?:[a-z\d]+(?:-[a-z\d]+)*\/)+[a-z\d]+(?:-[a-z\d]+)*(?:\.d)?\.ts$/;
const EMPTY_NAME = /[/-](?:i-\w+|utils?|helpers?|managers?|base|impl)[-/.]/;

/** The list may only shrink: an entry that is no fault any more makes the test fail. */
const KNOWN_FAULTS = `
src/adapters/jwt/jwt-issuer.ts has more than 300 lines
src/testing/http/conformance.ts has more than 300 lines
src/testing/http/decided-cases.ts has more than 300 lines
`
  .trim()
  .split('\n');

type Import = { readonly from: string; readonly to: string; readonly isType: boolean };
type Tree = ReadonlyMap<string, { readonly source: string; readonly imports: readonly Import[] }>;

/** A file with its imports; `?` is one that only run time knows, `@` a decorator. */
function parse(from: string, source: string) {
  const imports: Import[] = [];
  const add = (node: unknown, kind = 'value') => {
    const value: unknown = Reflect.get(Object(node), 'value');
    const name = typeof value === 'string' ? value : '?';
    const to = name.startsWith('.') ? posix.join(posix.dirname(from), name) : name;
    imports.push({ from, to, isType: kind === 'type' });
  };
  const { program, errors } = parseSync(from, source);
  assert.equal(errors, [], from);
  new Visitor({
    ImportDeclaration: (node) => add(node.source, node.importKind),
    ExportAllDeclaration: (node) => add(node.source, node.exportKind),
    ExportNamedDeclaration: (node) => node.source && add(node.source, node.exportKind),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source, 'type'),
    TSExternalModuleReference: (node) => add(node.expression),
    CallExpression({ callee, arguments: [first] }) {
      if (callee.type === 'Identifier' && callee.name === 'require') add(first);
    },
    Decorator: () => add({ value: '@' }),
  }).visit(program);
  return [from, { source, imports }] as const;
}

const placeOf = (path: string) => Object.keys(MAY_IMPORT).find((each) => path.startsWith(each));

function fits(entry: string, to: string): boolean {
  if (entry === 'container') return CONTAINER.test(to);
  if (entry !== 'package') return to.startsWith(entry);
  return /^@?[a-z][\w./-]*$/.test(to) && !/^(?:src|tests|tools)\//.test(to) && !CONTAINER.test(to);
}

function mayImport({ from, to, isType }: Import): boolean {
  const place = placeOf(from) ?? from;
  const own = place === 'src/adapters/' ? from.split('/', 3).join('/') + '/' : place;
  const types = isType && from.startsWith('src/adapters/') && place !== CONTRACT;
  const entries = [own, ...(MAY_IMPORT[place] ?? []), ...(types ? SHARED_TYPES : [])];
  return entries.some((entry) => fits(entry, to));
}

/** Everything in which a tree breaks the rules, a sentence each. */
function faultsOf(tree: Tree): readonly string[] {
  const faults: string[] = [];
  const require = (holds: boolean, fault: string) => holds || faults.push(fault);
  const paths = [...tree.keys()];
  const imports = [...tree.values()].flatMap((file) => file.imports);
  for (const each of imports) {
    require(mayImport(each), `${each.from} must not import ${each.to}`);
    const isThere = !each.to.startsWith('src/') || tree.has(each.to);
    require(isThere, `${each.from} imports ${each.to}, which is not there`);
  }
  // A rule that matches nothing would prove nothing.
  for (const [place, entries] of Object.entries(MAY_IMPORT)) {
    require(paths.some((path) => placeOf(path) === place), `${place} is empty`);
    for (const entry of entries) {
      const isUsed = imports.some(({ from, to }) => placeOf(from) === place && fits(entry, to));
      require(isUsed, `${place} never imports ${entry}`);
    }
  }
  for (const entry of SHARED_TYPES) {
    const isUsed = imports.some(
      (each) => fits(entry, each.to) && !mayImport({ ...each, isType: false }),
    );
    require(isUsed, `no adapter imports the types of ${entry}`);
  }
  const folders = paths.map((path) => posix.dirname(path));
  for (const folder of new Set(folders)) {
    const { length } = folders.filter((each) => each === folder);
    require(length <= MAX_FILES, `${folder} has more than ${MAX_FILES} files`);
  }
  for (const [path, { source }] of tree) {
    const lines = source.trimEnd().split('\n');
    const isLoose = /^src\/adapters\/(?:http\/)?[^/]+$/.test(path) || placeOf(path) === undefined;
    require(!isLoose, `${path} is in no place`);
    require(KEBAB_CASE.test(path), `${path} is not in kebab-case`);
    require(!EMPTY_NAME.test(path), `${path} has a name that says nothing`);
    require(lines.length <= MAX_LINES, `${path} has more than ${MAX_LINES} lines`);
    require(lines.every((line) => line.length <= MAX_COLUMNS), `${path} has a long line`);
  }
  return faults;
}

const TREE: Tree = new Map(
  readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((path) => posix.join('src', path.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => parse(path, readFileSync(path, 'utf8'))),
);

const house = suite('The house');

house('keeps its rules', () => {
  assert.equal(faultsOf(TREE).toSorted(), KNOWN_FAULTS.toSorted());
});

/** A path, the source that is planted there, and the fault that must be found. */
const PLANTED = `
src/domain/x.ts | import type { Ports } from '../application/ports.ts'; | must not import src/application/ports.ts
src/domain/x.ts | import { createHash } from 'node:crypto'; | must not import node:crypto
src/application/limits/x.ts | export * from 'jsonwebtoken'; | must not import jsonwebtoken
src/application/limits/x.ts | const x = await import('../../adapters/log/log.ts'); | must not import src/adapters/log/log.ts
src/application/limits/x.ts | let x: import('../../main.ts').X; | must not import src/main.ts
src/application/limits/x.ts | class X { @inject() y = 1 } | must not import @
src/adapters/jwt/x.ts | import '../log/log.ts'; | must not import src/adapters/log/log.ts
src/adapters/jwt/x.ts | import type { X } from '../knex/users.ts'; | must not import src/adapters/knex/users.ts
src/adapters/jwt/x.ts | import type { X } from '../../application/ports.ts'; | must not import src/application/ports.ts
src/adapters/jwt/x.ts | require('tsyringe'); | must not import tsyringe
src/adapters/jwt/x.ts | import '../../testing/index.ts'; | must not import src/testing/index.ts
src/adapters/jwt/x.ts | import('./' + name); | must not import ?
src/adapters/jwt/x.ts | import '../../../tests/run.ts'; | must not import tests/run.ts
src/adapters/jwt/x.ts | export { x } from './lost.ts'; | imports src/adapters/jwt/lost.ts, which is not there
src/adapters/http/contract/x.ts | import '../hosts/routes.ts'; | must not import src/adapters/http/hosts/routes.ts
src/adapters/http/openapi/x.ts | import '../hosts/routes.ts'; | must not import src/adapters/http/hosts/routes.ts
src/adapters/http/client/x.ts | import '../hosts/routes.ts'; | must not import src/adapters/http/hosts/routes.ts
src/adapters/http/client/x.ts | import 'express'; | must not import express
src/adapters/http/hosts/x.ts | import '../client/client.ts'; | must not import src/adapters/http/client/client.ts
src/testing/http/x.ts | import { suite } from 'uvu'; | must not import uvu
src/cli/x/x.ts | import '../../testing/parts.ts'; | must not import src/testing/parts.ts
src/cli/x/x.ts | import 'reflect-metadata'; | must not import reflect-metadata
src/adapters/x.ts | ; | is in no place
src/adapters/http/x.ts | ; | is in no place
src/x.ts | ; | is in no place
src/domain/user.entity.ts | ; | is not in kebab-case
src/domain/IUser.ts | ; | is not in kebab-case
src/domain/session-manager.ts | ; | has a name that says nothing
src/adapters/utils/text.ts | ; | has a name that says nothing
src/domain/x.ts | // ${'x'.repeat(MAX_COLUMNS)} | has a long line
src/domain/x.ts | ${';\v'.repeat(MAX_LINES + 1)} | has more than ${MAX_LINES} lines`;

for (const line of PLANTED.trim().split('\n')) {
  const [path = '', source = '', fault = ''] = line.split(' | ');
  house(`fails if ${path} ${fault}`, () => {
    const faults = faultsOf(new Map([...TREE, parse(path, source.replaceAll('\v', '\n'))]));
    assert.equal(
      faults.filter((each) => !KNOWN_FAULTS.includes(each)),
      [`${path} ${fault}`],
    );
  });
}

house('fails if a place is empty or full, or a rule matches nothing', () => {
  const faultsWithout = (part: string) =>
    faultsOf(new Map([...TREE].filter(([path]) => !path.includes(part))));
  for (const place of Object.keys(MAY_IMPORT)) {
    assert.ok(faultsWithout(place).includes(`${place} is empty`), place);
  }
  const unused = ['src/cli/ never imports src/testing/index.ts'];
  assert.ok(unused.every((fault) => faultsWithout('cli/conformance').includes(fault)));
  const types = 'no adapter imports the types of src/adapters/log/log.ts';
  assert.ok(faultsWithout('/config/').includes(types));
  const files = Array.from({ length: MAX_FILES }, (_, i) => parse(`src/domain/x${i}.ts`, ''));
  const full = `src/domain has more than ${MAX_FILES} files`;
  assert.ok(faultsOf(new Map([...TREE, ...files])).includes(full));
});

house.run();
