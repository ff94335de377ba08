import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../src/cli/terminal.ts';
import { CLI, TEST_ENV } from '../support/service.ts';
import { withDatabases } from '../support/stores.ts';

const terminal = suite('A terminal');

terminal('shows progress as a bar, and another output as lines', () => {
  const shown = (isTTY: boolean) => {
    const texts: string[] = [];
    const progress = new Progress({ isTTY, columns: 60, write: (text) => texts.push(text) });
    progress.show(0.01, 'one');
    progress.show(0.02, 'too soon');
    progress.show(0.5, 'half');
    progress.show(1, `all ${'x'.repeat(80)}`);
    progress.end();
    return texts;
  };
  assert.equal(shown(false), ['1 %, one\n', '50 %, half\n', `100 %, all ${'x'.repeat(80)}\n`]);
  const bar = shown(true);
  assert.is(bar[0], `\r\u001B[K${'░'.repeat(24)}   1 %  one`);
  assert.match(bar.at(-2) ?? '', `\r\u001B[K${'█'.repeat(24)} 100 %  all x`);
  assert.ok((bar.at(-2) ?? '').length <= 60 + 4, 'on one line');
  assert.is(bar.at(-1), '\n');
});

/** All that `users create` shows at a terminal, to whoever answers its questions so, one after the other. */
async function shownFor(DATABASE_URL: string, answers: readonly string[]): Promise<string> {
  const line = `${process.execPath} --import tsx ${CLI} users create ada@example.com Ada`;
  const { PATH, HOME } = process.env;
  const child = execFile('script', ['-qec', line, '/dev/null'], {
    env: { PATH, HOME, ...TEST_ENV, DATABASE_URL },
    timeout: 60_000,
  });
  let output = '';
  let answered = 0;
  child.stdout?.on('data', (text) => {
    output += String(text);
    const questions = output.match(/Password: |Once more: /g)?.length ?? 0;
    const answer = answers[questions - 1] ?? '';
    // A moment later: it begins to listen after it has asked.
    if (questions > answered) setTimeout(() => child.stdin?.write(`${answer}\r`), 300);
    answered = questions;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  'asks for a password twice, and shows nothing of it': () =>
    withDatabases('SQLite', async (_, __, url) => {
      const output = await shownFor(url, ['canary-password', 'canary-password']);
      assert.match(output, /Password: [^]*Once more: [^]*Created: ada@example.com/);
      assert.not.match(output, 'canary');
    }),
  'takes no password that is typed in two ways': () =>
    withDatabases('SQLite', async (knex, __, url) => {
      const output = await shownFor(url, ['canary-password', 'canary-passwort']);
      assert.match(output, /Password: [^]*Once more: [^]*Not done: the passwords differ/);
      assert.not.match(output, 'canary');
      assert.equal(await knex?.('users'), []);
    }),
};
for (const [title, test] of Object.entries(CASES)) {
  if (existsSync('/usr/bin/script')) terminal(title, test);
  else terminal.skip(title, test);
}

terminal.run();
