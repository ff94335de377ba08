/**
 * The OpenAPI document on record, docs/openapi.json. As a program, `npx tsx tools/openapi-record.ts`, it writes what the code
 * says now; a change that breaks those who use the API is refused, unless `--breaking` says that it is meant.
 */
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type EndpointOptions, endpoints } from '../src/adapters/http/contract/endpoints.ts';
import { openApi } from '../src/adapters/http/openapi/document.ts';
import { breakingChanges } from '../tests/support/breaking-changes.ts';

const RECORD = 'docs/openapi.json';

/** With which there is every endpoint that there can be. */
export const EVERYTHING: EndpointOptions = {
  publicKeys: [{ kty: 'EC' }],
  isReady: async () => true,
};

/** Every endpoint that there can be, as it is by default. */
export function currentDocument(): string {
  const table = endpoints(EVERYTHING);
  const document = openApi(table, { mount: '' });
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

export function recordedDocument(path = RECORD): string {
  return readFileSync(path, 'utf8');
}

function main([first, second = RECORD]: readonly string[]): void {
  const isMeant = first === '--breaking';
  const path = isMeant ? second : (first ?? RECORD);
  const current = currentDocument();
  const changes = breakingChanges(JSON.parse(recordedDocument(path)), JSON.parse(current));
  for (const change of changes) console.error(`breaks: ${change}`);
  if (changes.length > 0 && !isMeant) {
    console.error(
      `${path} is left as it is. If this is meant: npx tsx tools/openapi-record.ts --breaking`,
    );
    process.exitCode = 1;
  } else writeFileSync(path, current);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2));
}
