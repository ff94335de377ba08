'use strict';
const { AuthError, createAuth } = require('portcullis');
const { Argon2Hasher } = require('portcullis/argon2');
const { JwtIssuer } = require('portcullis/jwt');
const { memoryRepositories } = require('portcullis/memory');

async function main() {
  const auth = createAuth({
    ...memoryRepositories(),
    hasher: new Argon2Hasher(),
    tokens: new JwtIssuer({ key: crypto.randomUUID() + crypto.randomUUID() }),
  });
  const password = 'correct horse';
  const ada = { username: 'Ada', email: 'ada@example.com', password, confirmPassword: password };
  const { accessToken } = await auth.registerUser(ada);
  const { user } = await auth.authorize({ accessToken });
  const again = await auth.registerUser(ada).catch((error) => error);
  console.log(`Hello, ${user.username}; again: ${again instanceof AuthError && again.code}`);
}

void main();
