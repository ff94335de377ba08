import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAuth } from 'portcullis';
import { JwtIssuer } from 'portcullis/jwt';
import { FastHasher, sessionRepositoryContract, userRepositoryContract } from 'portcullis/testing';
import { journaledRepositories } from './journal.js';

async function open() {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const repositories = await journaledRepositories(join(folder, 'journal'));
  const close = async () => {
    await repositories.close();
    rmSync(folder, { recursive: true });
  };
  return { ...repositories, close };
}

for (const { name, run } of userRepositoryContract(open)) test(name, run);
for (const { name, run } of sessionRepositoryContract(open)) test(name, run);

test('survives a restart, and the crash that tore its last line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const path = join(folder, 'journal');
  const hasher = new FastHasher();
  const tokens = new JwtIssuer({ key: 'a secret of no more than this test, which is long enough' });
  const password = 'correct horse';

  const before = await journaledRepositories(path);
  const ada = { username: 'Ada', email: 'ada@example.com', password, confirmPassword: password };
  const { user } = await createAuth({ ...before, hasher, tokens }).registerUser(ada);
  await before.close();
  appendFileSync(path, 'half a li');
  assert.equal(statSync(path).mode & 0o077, 0, 'nobody else reads it');

  const after = await journaledRepositories(path);
  const signedIn = await createAuth({ ...after, hasher, tokens }).login({ ...ada });
  assert.deepEqual(signedIn.user, user);
  await after.close();

  const later = await journaledRepositories(path);
  const sessions = await later.sessions.list(user.id, new Date());
  assert.equal(sessions.length, 2, 'what was written after the torn line is there, too');
  await later.close();
  rmSync(folder, { recursive: true });
});
