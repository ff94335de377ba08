import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';

const DOCUMENT = readFileSync('docs/scaling-out.md', 'utf8');

const document = suite('docs/scaling-out.md');

document('has URLs that the service takes, each with the hosts that it lists', () => {
  const urls = [...DOCUMENT.matchAll(/^DATABASE_URL='(.+)'$/gm)].map(([, url = '']) => url);
  const hosts = urls.map((url) => {
    const { store } = readConfig({ DATABASE_URL: url });
    return store.kind === 'mysql' ? store.hosts.map(({ host, port }) => `${host}:${port}`) : [];
  });
  const nodes = ['10.0.0.1:3306', '10.0.0.2:3306', '10.0.0.3:3306'];
  const tidb = ['10.0.0.1:4000', '10.0.0.2:4000'];
  assert.equal(hosts, [nodes, ['127.0.0.1:3306'], nodes, tidb, ['vtgate.example.com:15306']]);
});

document('names settings that there are', () => {
  const [, section = ''] = /## What must be equal\n([^]*?)\n## /.exec(DOCUMENT) ?? [];
  const readme = readFileSync('README.md', 'utf8');
  const names = [...section.matchAll(/`([A-Z][A-Z0-9_]+)(?:\*|`)/g)].map(([, name = '']) => name);
  assert.ok(names.length > 12, names.join(' '));
  for (const name of names) assert.ok(readme.includes(`\`${name}`), name);
});

document('has a check for HAProxy that asks what its comment says, in whole packets', () => {
  const sent = [...DOCUMENT.matchAll(/tcp-check send-binary ([\da-f]+)/g)].map(([, hex = '']) =>
    Buffer.from(hex, 'hex'),
  );
  assert.is(sent.length, 3);
  for (const packet of sent) assert.is(packet.readUIntLE(0, 3), packet.length - 4);
  const [signIn, question] = sent.map((packet) => packet.subarray(4).toString('latin1'));
  assert.match(signIn ?? '', /haproxy\0\0$/);
  const [, sql] = /# (SHOW STATUS .+), which must be 4/.exec(DOCUMENT) ?? [];
  assert.is(question, `\x03${sql}`);
  const [, row = ''] = /tcp-check expect binary ([\da-f]+)/.exec(DOCUMENT) ?? [];
  assert.is(Buffer.from(row, 'hex').toString(), '\x11wsrep_local_state\x014');
});

document.run();
