import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

/** Source texts by their paths from the root of the repository, with forward slashes. */
type Tree = ReadonlyMap<string, string>;

const MAX_LINES = 350;
const MAX_COLUMNS = 200;

/** Everything in which a tree breaks the rules of the house, a sentence each. */
function faultsOf(tree: Tree): string[] {
  if (tree.size === 0) return ['there are no source files'];
  const imports = [...tree].flatMap(([path, source]) =>
    importsOf(source).map((specifier) => ({
      path,
      target: resolve(path, specifier),
      isRelative: specifier.startsWith('.'),
    })),
  );
  return [
    ...PLACES.filter((place) => !imports.some(({ path }) => placeOf(path) === place)).map(
      (place) => `${place} is empty, or nothing in it was understood`,
    ),
    ...EXPECTED.filter(
      ([from, to]) =>
        !imports.some(({ path, target }) => placeOf(path) === from && isIn(target, to)),
    ).map(([from, to]) => `${from} does not import ${to}: the rule on it would hold of nothing`),
    ...imports.flatMap(({ path, target, isRelative }) => {
      if (target === UNKNOWN) return [`${path} imports what cannot be told`];
      if (isRelative && !tree.has(target)) return [`${path} imports ${target}, which is not there`];
      return mayImport(path, target) ? [] : [`${path} must not import ${target}`];
    }),
    ...cyclesOf(imports).map((cycle) => `${cycle.join(' → ')} is a circle`),
    ...[...tree].flatMap(([path, source]) => faultsOfFile(path, source)),
  ];
}

const PLACES = [
  'src/domain',
  'src/application',
  'src/adapters',
  'src/testing',
  'src/composition.ts',
  'src/serve.ts',
  'src/main.ts',
  'src/cli',
] as const;
const ONLY_COMPOSITION = ['tsyringe', 'reflect-metadata'];

/** What a rule speaks of must be there at least once: a rule that matches nothing proves nothing. */
const EXPECTED: readonly (readonly [from: string, to: string])[] = [
  ['src/domain', 'src/domain'],
  ['src/application', 'src/application'],
  ['src/application', 'src/domain'],
  ['src/adapters', 'src/application/index.ts'],
  ['src/adapters', 'node:'],
  ['src/testing', 'src/application/index.ts'],
  ['src/testing', 'node:'],
  ['src/serve.ts', 'src/adapters'],
  ['src/serve.ts', 'src/composition.ts'],
  ['src/main.ts', 'src/serve.ts'],
  ['src/main.ts', 'src/adapters'],
  ['src/cli', 'src/adapters'],
  ['src/cli', 'src/composition.ts'],
  ['src/composition.ts', 'src/adapters'],
  ['src/composition.ts', 'src/application/index.ts'],
  ['src/main.ts', 'src/composition.ts'],
  ...ONLY_COMPOSITION.map((name) => ['src/composition.ts', name] as const),
];

function placeOf(path: string): (typeof PLACES)[number] | undefined {
  return PLACES.find((place) => isIn(path, place));
}

function isIn(path: string, place: string): boolean {
  return path === place || path.startsWith(place.endsWith(':') ? place : `${place}/`);
}

function mayImport(path: string, target: string): boolean {
  switch (placeOf(path)) {
    case 'src/domain':
      return isIn(target, 'src/domain');
    case 'src/application':
      return isIn(target, 'src/application') || isIn(target, 'src/domain');
    case 'src/adapters':
      if (!target.startsWith('src/')) return !ONLY_COMPOSITION.some((name) => isIn(target, name));
      return (
        target === 'src/application/index.ts' ||
        isIn(target, 'src/domain') ||
        isIn(target, adapterOf(path))
      );
    case 'src/testing':
      return (
        target === 'src/application/index.ts' ||
        ['src/testing', 'src/domain', 'node:'].some((allowed) => isIn(target, allowed))
      );
    case 'src/composition.ts':
      return !['src/main.ts', 'src/serve.ts', 'src/testing'].some((place) => isIn(target, place));
    case 'src/serve.ts':
    case 'src/main.ts':
      return ![...ONLY_COMPOSITION, 'src/testing', 'src/cli'].some((forbidden) =>
        isIn(target, forbidden),
      );
    case 'src/cli':
      return !ONLY_COMPOSITION.some((name) => isIn(target, name)) && isFaceOfTesting(target);
    default:
      return false;
  }
}

/** Of what is for tests the command line needs the conformance of a server, as everybody gets it. */
function isFaceOfTesting(target: string): boolean {
  return !isIn(target, 'src/testing') || target === 'src/testing/index.ts';
}

/** `src/adapters/http/express.ts` is of `src/adapters/http`. */
function adapterOf(path: string): string {
  return path.split('/').slice(0, 3).join('/');
}

const BAD_NAME = /^(?:i-.*|(?:.*-)?(?:utils?|helpers?|managers?|base|impl)(?:-.*)?)$/;
const KEBAB_CASE = /^[a-z\d]+(?:-[a-z\d]+)*$/;

function faultsOfFile(path: string, source: string): string[] {
  const faults: string[] = [];
  const place = placeOf(path);
  if (place === undefined) faults.push(`${path} is in no layer`);
  if (place === 'src/adapters' && path.split('/').length < 4) {
    faults.push(`${path} is in no adapter's folder`);
  }
  for (const name of path.replace(/(?:\.d)?\.ts$/, '').split('/')) {
    if (!KEBAB_CASE.test(name)) faults.push(`${path} is not in kebab-case`);
    else if (BAD_NAME.test(name)) faults.push(`${path} has a name that says nothing`);
  }
  // Outside comments, strings and regular expressions nothing else begins with this sign.
  const isPure = place === 'src/domain' || place === 'src/application';
  if (isPure && codeOf(source).code.includes('@')) faults.push(`${path} has a decorator`);
  const lines = source.split('\n');
  if (lines.length > MAX_LINES) faults.push(`${path} has more than ${MAX_LINES} lines`);
  if (lines.some((line) => line.length > MAX_COLUMNS)) {
    faults.push(`${path} has a line of more than ${MAX_COLUMNS} characters`);
  }
  return faults;
}

type Import = { readonly path: string; readonly target: string };

/** Every circle once, from its first file in the alphabet on. Types count: they are read, too. */
function cyclesOf(imports: readonly Import[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { path, target } of imports) {
    targets.set(path, [...(targets.get(path) ?? []), target]);
  }
  const cycles = new Map<string, string[]>();
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      const cycle = trail.slice(start);
      const first = cycle.indexOf(cycle.toSorted()[0] ?? path);
      const turned = [...cycle.slice(first), ...cycle.slice(0, first)];
      cycles.set(turned.join(), [...turned, turned[0] ?? path]);
    } else if (!done.has(path)) {
      for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
      done.add(path);
    }
  };
  for (const path of targets.keys()) visit(path, []);
  return [...cycles.values()];
}

const UNKNOWN = '?';

function resolve(path: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
}

/** What a source imports in any way, types and re-exports too; `?` for what is only known at run time. */
function importsOf(source: string): string[] {
  const { code, strings } = codeOf(source);
  const found = [...code.matchAll(IMPORT)].map(({ groups = {} }) => {
    const { from, alone, called } = groups;
    return strings[Number(from ?? alone ?? called ?? -1)] ?? UNKNOWN;
  });
  return [...new Set(found)];
}

const IMPORT = new RegExp(
  [
    String.raw`\b(?:import|export)\b[\w$\s{},*"]*?\bfrom\s*"(?<from>\d+)"`,
    String.raw`\bimport\s*"(?<alone>\d+)"`,
    String.raw`\b(?:import|require)\s*\(\s*(?:"(?<called>\d+)"\s*[,)])?`,
  ].join('|'),
  'g',
);

/** A source without comments, its strings replaced by their numbers: what is left is syntax. */
function codeOf(source: string): { readonly code: string; readonly strings: readonly string[] } {
  const strings: string[] = [];
  const strip = (text: string): string =>
    text.replaceAll(TOKEN, (token) => {
      if (token.startsWith('`') && token.includes('${')) {
        return [...token.matchAll(/\$\{([^}]*)\}/g)].map(([, code = '']) => strip(code)).join(';');
      }
      if (!/^["'`]/.test(token)) return ' ';
      return `"${strings.push(token.slice(1, -1)) - 1}"`;
    });
  return { code: strip(source), strings };
}

const TOKEN = new RegExp(
  [
    String.raw`\/\/[^\n]*`,
    String.raw`\/\*[^]*?\*\/`,
    String.raw`'(?:\\.|[^'\\\n])*'`,
    String.raw`"(?:\\.|[^"\\\n])*"`,
    '`(?:\\\\[^]|[^`\\\\])*`',
    // A regular expression: where a value is expected, for elsewhere the sign divides.
    String.raw`(?<=[=(,:;!&|?{}[>]\s*|\breturn\s+)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*`,
  ].join('|'),
  'g',
);

const scanner = suite('The scanner of imports');

const SOURCES: readonly (readonly [what: string, source: string, found: readonly string[]])[] = [
  ['a default', `import a from './a.ts';`, ['./a.ts']],
  ['names', `import { a, b as c, type D } from "a";`, ['a']],
  ['names over lines', `import {\n  a, // from 'b'\n  c,\n}\n  from\n  'a'\n`, ['a']],
  ['a namespace', `import * as $a from 'a'; import b, * as c from 'b'`, ['a', 'b']],
  ['types', `import type { A } from 'a'; export type { B } from 'b';`, ['a', 'b']],
  ['for its effects', `import'a'; import "b"`, ['a', 'b']],
  [
    'what it exports again',
    `export * from 'a';\nexport * as b from 'b'; export{c}from'c'`,
    ['a', 'b', 'c'],
  ],
  [
    'while it runs',
    `const a = await import('a'); import(\n  "b",\n); import(\`c\`)`,
    ['a', 'b', 'c'],
  ],
  ['who knows what', 'await import(name); require(`./${name}`)', ['?']],
  ['half known', `import('a' + name)`, ['?']],
  ['the old way', `const a = require('a'); import b = require('b');`, ['a', 'b']],
  ['in a type', `let a: import('a').A; let b: typeof import("b");`, ['a', 'b']],
  ['in a template', 'const a = `${await import(\'a\')} and ${`${require("b")}`}`', ['a', 'b']],
  ['names that are strings', `import { 'a b' as c } from 'a';`, ['a']],
  ['after a regular expression', `const a = /['"\`]\\/*[/*]/g; import 'a'; // '`, ['a']],
  ['after divisions', `const a = b / c; import 'a'; const d = e / f;`, ['a']],
  ['between comments', `/* ' */ import /* " */ 'a' // \`\n;/**/import 'b'`, ['a', 'b']],
  ['no comment', `// import 'a'\n/* import 'b'\n * import 'c' */ /** @see import('d') */`, []],
  ['no string', `const a = "import 'a'", b = 'it\\'s from "b"', c = \`import 'c'\`;`, []],
  ['nothing', `export const a = 1; export { a }; const from = "b"; import.meta.url;`, []],
];

for (const [what, source, found] of SOURCES) {
  scanner(`finds ${what}`, () => assert.equal(importsOf(source), found));
}

scanner.run();

/** A tree that keeps every rule. */
const HEALTHY: Tree = new Map([
  ['src/domain/errors.ts', 'export class AuthError extends Error {}'],
  ['src/domain/user.ts', `import { AuthError } from './errors.ts'; // @decorated`],
  ['src/application/ports.ts', `import type { User } from '../domain/user.ts';`],
  ['src/application/index.ts', `export type * from './ports.ts'; const email = 'a@b.co';`],
  ['src/adapters/http/endpoints.ts', `import { Auth } from '../../application/index.ts';`],
  ['src/adapters/http/express.ts', `import './endpoints.ts'; import express from 'express';`],
  ['src/adapters/keys/keys.ts', `import 'node:crypto'; import '../../domain/errors.ts';`],
  ['src/testing/parts.ts', `import 'node:crypto'; import '../application/index.ts';`],
  [
    'src/composition.ts',
    `import 'reflect-metadata'; import { container } from 'tsyringe';
     import './adapters/http/express.ts'; import './application/index.ts';`,
  ],
  ['src/serve.ts', `import './adapters/http/express.ts'; import './composition.ts';`],
  [
    'src/main.ts',
    `import './adapters/http/express.ts'; import './composition.ts'; import './serve.ts';`,
  ],
  ['src/cli/program.ts', `import '../adapters/keys/keys.ts'; await import('../composition.ts');`],
]);

const PLANTED: readonly (readonly [path: string, source: string, ...faults: string[]])[] = [
  [
    'src/domain/email.ts',
    `import type { Ports } from '../application/ports.ts';`,
    'src/domain/email.ts must not import src/application/ports.ts',
  ],
  [
    'src/domain/email.ts',
    `export * from '../adapters/http/endpoints.ts';`,
    'src/domain/email.ts must not import src/adapters/http/endpoints.ts',
  ],
  [
    'src/domain/email.ts',
    `import { createHash } from 'node:crypto';`,
    'src/domain/email.ts must not import node:crypto',
  ],
  ['src/domain/email.ts', `import 'zod';`, 'src/domain/email.ts must not import zod'],
  [
    'src/application/login.ts',
    `import {\n  endpoints,\n} from '../adapters/http/endpoints.ts';`,
    'src/application/login.ts must not import src/adapters/http/endpoints.ts',
  ],
  [
    'src/application/login.ts',
    `import type { KeyObject } from 'node:crypto';`,
    'src/application/login.ts must not import node:crypto',
  ],
  [
    'src/application/login.ts',
    `const jwt = await import('jsonwebtoken');`,
    'src/application/login.ts must not import jsonwebtoken',
  ],
  [
    'src/application/login.ts',
    `import { compose } from '../main.ts';`,
    'src/application/login.ts must not import src/main.ts',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `import { keys } from '../keys/keys.ts';`,
    'src/adapters/jwt/jwt-issuer.ts must not import src/adapters/keys/keys.ts',
  ],
  [
    'src/adapters/key/key.ts',
    `import { keys } from '../keys/keys.ts';`,
    'src/adapters/key/key.ts must not import src/adapters/keys/keys.ts',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `import type { Ports } from '../../application/ports.ts';`,
    'src/adapters/jwt/jwt-issuer.ts must not import src/application/ports.ts',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `import { compose } from '../../main.ts';`,
    'src/adapters/jwt/jwt-issuer.ts must not import src/main.ts',
  ],
  [
    'src/cli/keys.ts',
    `import '../adapters/keys/keys.ts'; import 'tsyringe';`,
    'src/cli/keys.ts must not import tsyringe',
  ],
  [
    'src/main.ts',
    `import './composition.ts'; import './serve.ts'; import './adapters/keys/keys.ts'; import './cli/program.ts';`,
    'src/main.ts must not import src/cli/program.ts',
  ],
  ...['src/domain/email.ts', 'src/application/login.ts', 'src/adapters/jwt/jwt-issuer.ts'].map(
    (path): [string, string, string] => {
      const up = '../'.repeat(path.split('/').length - 2);
      const fault = `${path} must not import src/testing/parts.ts`;
      return [path, `import { FastHasher } from '${up}testing/parts.ts';`, fault];
    },
  ),
  [
    'src/composition.ts',
    `import 'reflect-metadata'; import 'tsyringe'; import './adapters/keys/keys.ts';
     import './application/index.ts'; import { FastHasher } from './testing/parts.ts';`,
    'src/composition.ts must not import src/testing/parts.ts',
  ],
  [
    'src/main.ts',
    `import './composition.ts'; import './serve.ts'; import './adapters/keys/keys.ts';
     import { FastHasher } from './testing/parts.ts';`,
    'src/main.ts must not import src/testing/parts.ts',
  ],
  [
    'src/cli/keys.ts',
    `import '../adapters/keys/keys.ts'; export * from '../testing/parts.ts';`,
    'src/cli/keys.ts must not import src/testing/parts.ts',
  ],
  [
    'src/main.ts',
    `import './composition.ts'; import './serve.ts'; import './adapters/keys/keys.ts'; import 'tsyringe';`,
    'src/main.ts must not import tsyringe',
  ],
  [
    'src/testing/cases.ts',
    `import { suite } from 'uvu';`,
    'src/testing/cases.ts must not import uvu',
  ],
  [
    'src/testing/cases.ts',
    `import '../adapters/keys/keys.ts';`,
    'src/testing/cases.ts must not import src/adapters/keys/keys.ts',
  ],
  [
    'src/testing/cases.ts',
    `import type { Ports } from '../application/ports.ts';`,
    'src/testing/cases.ts must not import src/application/ports.ts',
  ],
  [
    'src/testing/cases.ts',
    `import { compose } from '../main.ts';`,
    'src/testing/cases.ts must not import src/main.ts',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `import { injectable } from 'tsyringe';`,
    'src/adapters/jwt/jwt-issuer.ts must not import tsyringe',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `require('reflect-metadata/lite');`,
    'src/adapters/jwt/jwt-issuer.ts must not import reflect-metadata/lite',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `export { lost } from './lost.ts';`,
    'src/adapters/jwt/jwt-issuer.ts imports src/adapters/jwt/lost.ts, which is not there',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `import '../../../tests/support/fakes.ts';`,
    'src/adapters/jwt/jwt-issuer.ts imports tests/support/fakes.ts, which is not there',
  ],
  [
    'src/adapters/jwt/jwt-issuer.ts',
    `await import(name);`,
    'src/adapters/jwt/jwt-issuer.ts imports what cannot be told',
  ],
  [
    'src/adapters/jwt.ts',
    `import 'jsonwebtoken';`,
    `src/adapters/jwt.ts is in no adapter's folder`,
  ],
  ['src/server.ts', `export {};`, 'src/server.ts is in no layer'],
  ['src/domain/email.ts', `@injectable() class A {}`, 'src/domain/email.ts has a decorator'],
  [
    'src/application/login.ts',
    `class A {\n  constructor(@inject('B') b) {}\n}`,
    'src/application/login.ts has a decorator',
  ],
  [
    'src/domain/errors.ts',
    `import type { User } from './user.ts';`,
    'src/domain/errors.ts → src/domain/user.ts → src/domain/errors.ts is a circle',
  ],
  [
    'src/domain/email.ts',
    `export * from './email.ts';`,
    'src/domain/email.ts → src/domain/email.ts is a circle',
  ],
  ['src/domain/utils.ts', '', 'src/domain/utils.ts has a name that says nothing'],
  ['src/domain/email-helper.ts', '', 'src/domain/email-helper.ts has a name that says nothing'],
  [
    'src/application/session-manager.ts',
    '',
    'src/application/session-manager.ts has a name that says nothing',
  ],
  ['src/adapters/helpers/text.ts', '', 'src/adapters/helpers/text.ts has a name that says nothing'],
  ['src/domain/i-user.ts', '', 'src/domain/i-user.ts has a name that says nothing'],
  ['src/domain/IUser.ts', '', 'src/domain/IUser.ts is not in kebab-case'],
  ['src/domain/user.entity.ts', '', 'src/domain/user.entity.ts is not in kebab-case'],
  [
    'src/domain/email.ts',
    '\n'.repeat(MAX_LINES),
    `src/domain/email.ts has more than ${MAX_LINES} lines`,
  ],
  [
    'src/domain/email.ts',
    `// ${'x'.repeat(MAX_COLUMNS)}`,
    `src/domain/email.ts has a line of more than ${MAX_COLUMNS} characters`,
  ],
];

const check = suite('The check of the house');

check('finds nothing wrong with a healthy tree', () => {
  assert.equal(faultsOf(HEALTHY), []);
});

for (const [path, source, ...faults] of PLANTED) {
  check(`finds out that ${faults.join()}`, () => {
    assert.equal(faultsOf(new Map([...HEALTHY, [path, source]])), faults);
  });
}

check('fails when no files are found', () => {
  assert.equal(faultsOf(new Map()), ['there are no source files']);
});

for (const place of PLACES) {
  check(`fails when ${place} is empty`, () => {
    const rest = new Map([...HEALTHY].filter(([path]) => !isIn(path, place)));
    assert.ok(faultsOf(rest).includes(`${place} is empty, or nothing in it was understood`));
  });
}

for (const [from, to] of EXPECTED) {
  check(`fails when the rule on ${from} and ${to} matches nothing`, () => {
    const tree = new Map(
      [...HEALTHY].map(([path, source]) => {
        if (placeOf(path) !== from) return [path, source];
        const kept = importsOf(source).filter((specifier) => !isIn(resolve(path, specifier), to));
        return [path, kept.map((specifier) => `import '${specifier}';`).join('\n')];
      }),
    );
    const fault = `${from} does not import ${to}: the rule on it would hold of nothing`;
    assert.ok(faultsOf(tree).includes(fault));
  });
}

check.run();

const house = suite('The house');

house('keeps its rules', () => {
  const paths = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((path) => `src/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts'))
    .toSorted();
  const tree = new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
  assert.equal(faultsOf(tree), []);
});

house.run();
