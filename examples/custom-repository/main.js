import { randomBytes } from 'node:crypto';
import { createAuth } from 'portcullis';
import { Argon2Hasher } from 'portcullis/argon2';
import { JwtIssuer } from 'portcullis/jwt';
import { journaledRepositories } from './journal.js';

// Run it twice: the second time the account is there already.
const repositories = await journaledRepositories('journal');
const auth = createAuth({
  ...repositories,
  hasher: new Argon2Hasher(),
  tokens: new JwtIssuer({ key: randomBytes(32).toString('hex') }),
});
const password = 'correct horse';
const ada = { username: 'Ada', email: 'ada@example.com', password, confirmPassword: password };
try {
  const { user } = await auth.registerUser(ada);
  console.log(`registered ${user.username}`);
} catch (error) {
  if (error.code !== 'email_taken') throw error;
  const { user } = await auth.login(ada);
  console.log(`signed in ${user.username}, registered ${user.dateCreated.toISOString()}`);
}
await repositories.close();
