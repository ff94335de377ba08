// Express, jsonwebtoken and knex, as most tutorials put them together. On SQLite or MariaDB.
import { createRequire } from 'node:module';
import { hash, verify } from '@node-rs/argon2';
import express from 'express';
import jwt from 'jsonwebtoken';
import Knex from 'knex';

const { DATABASE_URL, JWT_SECRET, ACCESS_TOKEN_TTL = '15m' } = process.env;
const require = createRequire(import.meta.url);

function openDatabase() {
  if (!DATABASE_URL.startsWith('sqlite:')) {
    return Knex({ client: 'mysql2', connection: DATABASE_URL });
  }
  const Dialect = require('knex/lib/dialects/better-sqlite3/index.js');
  // The driver that the service has, too: the same interface, without a compiler.
  class Libsql extends Dialect {
    _driver() {
      return require('libsql');
    }
  }
  const filename = DATABASE_URL.slice('sqlite:'.length);
  return Knex({ client: Libsql, connection: { filename }, useNullAsDefault: true });
}

const knex = openDatabase();
if (!(await knex.schema.hasTable('users'))) {
  await knex.schema.createTable('users', (table) => {
    table.increments('id');
    table.string('username').notNullable();
    table.string('email').notNullable().unique();
    table.string('password_hash').notNullable();
    table.timestamp('date_created').defaultTo(knex.fn.now());
  });
}

const app = express();
app.use(express.json());

function authenticate(request, response, next) {
  const [, token] = (request.headers.authorization ?? '').split(' ');
  if (!token) return response.status(401).json({ message: 'Token is missing!' });
  try {
    request.claims = jwt.verify(token, JWT_SECRET, { audience: 'access' });
  } catch {
    return response.status(401).json({ message: 'Token is invalid or expired!' });
  }
  next();
}

app.get('/protected', authenticate, async (request, response) => {
  const user = await knex('users').where({ id: request.claims.sub }).first();
  if (!user) return response.status(404).json({ message: 'User not found' });
  response.json({ message: `Hello, ${user.username}. This is a protected route.` });
});

app.post('/refresh', async (request, response) => {
  let claims;
  try {
    claims = jwt.verify(request.body.refresh_token, JWT_SECRET, { audience: 'refresh' });
  } catch {
    return response.status(401).json({ message: 'Invalid or expired refresh token' });
  }
  const user = await knex('users').where({ id: claims.sub }).first();
  if (!user) return response.status(404).json({ message: 'User not found' });
  response.json({ access_token: accessToken(user) });
});

app.post('/login', async (request, response) => {
  const { email, password } = request.body;
  const user = await knex('users').where({ email }).first();
  if (!user || !(await verify(user.password_hash, password))) {
    return response.status(401).json({ message: 'Invalid email or password' });
  }
  const { id, username, date_created } = user;
  response.json({
    message: 'Login successful',
    ...tokens(user),
    user: { id, username, email, date_created },
  });
});

app.post('/register', async (request, response) => {
  const { username, email, password } = request.body;
  if (await knex('users').where({ email }).first()) {
    return response.status(400).json({ message: 'Email already registered.' });
  }
  const password_hash = await hash(password); // By default m=19456, t=2, p=1.
  const [id] = await knex('users').insert({ username, email, password_hash });
  response.status(201).json({ message: 'User created successfully', ...tokens({ id }) });
});

app.get('/users', async (_, response) => {
  response.json(await knex('users').select('id', 'username', 'email', 'date_created'));
});

function accessToken({ id }) {
  const options = { subject: String(id), audience: 'access', expiresIn: ACCESS_TOKEN_TTL };
  return jwt.sign({}, JWT_SECRET, options);
}

function tokens(user) {
  const options = { subject: String(user.id), audience: 'refresh', expiresIn: '30d' };
  return { access_token: accessToken(user), refresh_token: jwt.sign({}, JWT_SECRET, options) };
}

const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
