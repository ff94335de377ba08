import { fileURLToPath } from 'node:url';
import express from 'express';
import knex from 'knex';
import { createAuth } from 'portcullis';
import { Argon2Hasher } from 'portcullis/argon2';
import { authRouter, requireUser } from 'portcullis/express';
import { JwtIssuer } from 'portcullis/jwt';
import { knexRepositories, migrate } from 'portcullis/knex';

const { DATABASE_URL, JWT_SECRET, PORT = '3000' } = process.env;
const database = knex({ client: 'mysql2', connection: DATABASE_URL });

// The accounts, under names that are free here; then the app's own tables, which refer to them.
const tables = { users: 'auth_users', sessions: 'auth_sessions', attempts: 'auth_attempts' };
await migrate(database, { tables });
const directory = fileURLToPath(new URL('./migrations', import.meta.url));
await database.migrate.latest({ directory });

const auth = createAuth({
  ...knexRepositories(database, { tables }),
  hasher: new Argon2Hasher(),
  tokens: new JwtIssuer({ key: JWT_SECRET }),
});
auth.on('registered', ({ user }) =>
  database('notes').insert({ author: user.id, text: `Welcome, ${user.username}` }),
);

const app = express();
app.use(express.json());
app.use('/auth', authRouter(auth, { usersAccess: 'disabled' }));

app.get('/notes', requireUser(auth), async (request, response) => {
  const author = request.user.id;
  response.json(await database('notes').where({ author }).orderBy('id').pluck('text'));
});
app.post('/notes', requireUser(auth), async (request, response) => {
  const text = String(request.body?.text ?? '');
  await database('notes').insert({ author: request.user.id, text });
  response.status(201).json({ text });
});

const server = app.listen(Number(PORT), () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
const pruning = setInterval(
  () => void auth.pruneExpired().catch(({ code }) => console.error(code)),
  60 * 60 * 1000,
);
process.once('SIGTERM', () => {
  clearInterval(pruning);
  server.close(() => void database.destroy());
});
