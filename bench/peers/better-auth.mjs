// Better Auth on Express, with its bearer plugin and its own password hash, as documented. Its
// sessions are rows, not tokens that are verified: it has no refresh.
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { fromNodeHeaders } from 'better-auth/node';
import { bearer } from 'better-auth/plugins';
import express from 'express';
import { createPool } from 'mysql2/promise';

const { DATABASE_URL, JWT_SECRET } = process.env;
const options = {
  baseURL: 'http://localhost:3000',
  secret: JWT_SECRET,
  database: createPool(DATABASE_URL),
  emailAndPassword: { enabled: true },
  plugins: [bearer()],
  telemetry: { enabled: false },
};
const { runMigrations } = await getMigrations(options);
await runMigrations();
const auth = betterAuth(options);

const app = express();
app.use(express.json());

app.get('/protected', async (request, response) => {
  const session = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
  if (!session) return response.status(401).json({ message: 'Token is invalid or expired!' });
  response.json({ message: `Hello, ${session.user.name}. This is a protected route.` });
});

app.post('/login', async (request, response) => {
  const { email, password } = request.body;
  const { token, user } = await auth.api.signInEmail({ body: { email, password } });
  response.json({ message: 'Login successful', access_token: token, user });
});

app.post('/register', async (request, response) => {
  const { username, email, password } = request.body;
  const body = { name: username, email, password };
  const { headers } = await auth.api.signUpEmail({ body, returnHeaders: true });
  const message = 'User created successfully';
  response.status(201).json({ message, access_token: headers.get('set-auth-token') });
});

const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
