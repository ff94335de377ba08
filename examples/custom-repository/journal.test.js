import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import assert from 'node:assert/strict';
import { open as openFile } from 'node:fs/promises';
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

/** What every open file can do, to be watched or to fail. */
async function fileHandles(folder) {
  const file = await openFile(join(folder, 'probe'), 'w');
  await file.close();
  return Object.getPrototypeOf(file);
}

const ada = { username: 'Ada', passwordHash: 'a hash', dateCreated: new Date() };
const expires = new Date(Date.now() + 60_000);
const times = { dateCreated: new Date(), lastUsed: new Date(), expires };

for (const { name, run } of userRepositoryContract(open)) test(name, run);
for (const { name, run } of sessionRepositoryContract(open)) test(name, run);

test('survives a restart, and the crash that tore its last line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const path = join(folder, 'journal');
  const hasher = new FastHasher();
  const tokens = new JwtIssuer({ key: 'a secret of no more than this test, which is long enough' });
  const password = 'correct horse';

  const before = await journaledRepositories(path);
  const email = 'ada@example.com';
  const registration = { username: 'Ada', email, password, confirmPassword: password };
  const { user } = await createAuth({ ...before, hasher, tokens }).registerUser(registration);
  await before.close();
  appendFileSync(path, 'half a li');
  assert.equal(statSync(path).mode & 0o077, 0, 'nobody else reads it');

  const after = await journaledRepositories(path);
  const signedIn = await createAuth({ ...after, hasher, tokens }).login({ email, password });
  assert.deepEqual(signedIn.user, user);
  await after.close();

  const later = await journaledRepositories(path);
  const sessions = await later.sessions.list(user.id, new Date());
  assert.equal(sessions.length, 2, 'what was written after the torn line is there, too');
  await later.close();
  rmSync(folder, { recursive: true });
});

test('has a change on the disk before it says so', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const synced = t.mock.method(await fileHandles(folder), 'datasync');
  const { users, close } = await journaledRepositories(join(folder, 'journal'));
  const session = { id: '1', tokenId: '1', device: null, ...times };
  await users.insert({ ...ada, email: 'ada@example.com' }, session);
  assert.equal(synced.mock.callCount(), 1);
  await close();
  rmSync(folder, { recursive: true });
});

test('loses nothing to a write before it that a full disk has cut off', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const path = join(folder, 'journal');
  const before = await journaledRepositories(path);
  const insert = (email) => {
    const session = { id: email, tokenId: email, device: null, ...times };
    return before.users.insert({ ...ada, email }, session);
  };
  const handles = await fileHandles(folder);
  const { appendFile } = handles;
  const full = t.mock.method(handles, 'appendFile', async function append(line) {
    await appendFile.call(this, line.slice(0, 20));
    throw new Error('the disk is full');
  });
  await assert.rejects(insert('refused@example.com'), /full/);
  full.mock.restore();
  await insert('stored@example.com');
  await before.close();

  const after = await journaledRepositories(path);
  assert.equal(await after.users.findByEmail('refused@example.com'), undefined);
  assert.ok(await after.users.findByEmail('stored@example.com'));
  await after.close();
  rmSync(folder, { recursive: true });
});
