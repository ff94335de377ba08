import { createAuth } from 'portcullis';
import { Argon2Hasher } from 'portcullis/argon2';
import { JwtIssuer } from 'portcullis/jwt';
import { memoryRepositories } from 'portcullis/memory';

/** The use cases in this process. */
export const auth = createAuth({
  ...memoryRepositories(),
  hasher: new Argon2Hasher(),
  tokens: new JwtIssuer({ key: crypto.randomUUID() + crypto.randomUUID() }),
});
