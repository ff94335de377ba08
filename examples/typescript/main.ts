import type { AddressInfo } from 'node:net';
import express from 'express';
import {
  type Auth,
  AuthError,
  type AuthErrorCode,
  type AuthEvents,
  createAuth,
  type EmbeddedAuth,
} from 'portcullis';
import { createClient, memoryTokens } from 'portcullis/client';
import { authRouter, requireUser } from 'portcullis/express';
import { JwtIssuer } from 'portcullis/jwt';
import { memoryRepositories } from 'portcullis/memory';
import { FastHasher } from 'portcullis/testing';

const auth: EmbeddedAuth = createAuth({
  ...memoryRepositories(),
  hasher: new FastHasher(), // In the place of Argon2Hasher: this is a test of types.
  tokens: new JwtIssuer({ key: crypto.randomUUID() + crypto.randomUUID() }),
});
const heard: AuthEvents['registered'][] = [];
auth.on('registered', (event) => heard.push(event));

const app = express();
app.use('/auth', authRouter(auth, { only: ['POST /register', 'GET /account'] }));
app.get('/me', requireUser(auth), (request, response) => {
  // By its type nobody has asked who it is; `requireUser` has.
  response.json({ name: request.user?.username ?? null });
});

/** Anything that has the use cases: in this process or at a service. */
async function nameOf(where: Auth, accessToken: string): Promise<string | AuthErrorCode> {
  try {
    const { user } = await where.authorize({ accessToken });
    return user.username;
  } catch (error) {
    if (error instanceof AuthError) return error.code;
    throw error;
  }
}

const server = app.listen(0, '127.0.0.1', async () => {
  const { port } = server.address() as AddressInfo;
  const client = createClient({
    baseUrl: `http://127.0.0.1:${port}/auth`,
    tokens: memoryTokens(),
  });
  const password = 'correct horse';
  const { accessToken } = await client.registerUser({
    username: 'Ada',
    email: 'ada@example.com',
    password,
    confirmPassword: password,
  });
  const me = await client.fetch(`http://127.0.0.1:${port}/me`);
  console.log(await me.text(), await nameOf(auth, accessToken), await nameOf(client, accessToken));
  console.log(await nameOf(client, 'nonsense'), heard.length);
  server.close();
});
