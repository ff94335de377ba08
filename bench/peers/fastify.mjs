// Fastify with @fastify/jwt and mysql2, as their documentation has it.

import fastifyJwt from '@fastify/jwt';
import { hash, verify } from '@node-rs/argon2';
import Fastify from 'fastify';
import { createPool } from 'mysql2/promise';

const { DATABASE_URL, JWT_SECRET, ACCESS_TOKEN_TTL = '15m' } = process.env;
const pool = createPool(DATABASE_URL);
await pool.query(`CREATE TABLE IF NOT EXISTS users (
  id INT AUTO_INCREMENT PRIMARY KEY,
  username VARCHAR(255) NOT NULL,
  email VARCHAR(255) NOT NULL UNIQUE,
  password_hash VARCHAR(255) NOT NULL,
  date_created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)`);

const fastify = Fastify();
await fastify.register(fastifyJwt, {
  secret: JWT_SECRET,
  sign: { expiresIn: ACCESS_TOKEN_TTL },
});

fastify.decorate('authenticate', async (request, reply) => {
  try {
    await request.jwtVerify({ allowedAud: 'access' });
  } catch {
    return reply.code(401).send({ message: 'Token is invalid or expired!' });
  }
});

const message = { type: 'object', properties: { message: { type: 'string' } } };
const text = { type: 'string' };
const strings = (...names) => ({
  type: 'object',
  required: names,
  properties: Object.fromEntries(names.map((name) => [name, text])),
});

fastify.get(
  '/protected',
  { onRequest: [fastify.authenticate], schema: { response: { 200: message } } },
  async (request, reply) => {
    const user = await findUser(request.user.sub);
    if (!user) return reply.code(404).send({ message: 'User not found' });
    return { message: `Hello, ${user.username}. This is a protected route.` };
  },
);

fastify.post(
  '/refresh',
  { schema: { body: strings('refresh_token'), response: { 200: strings('access_token') } } },
  async (request, reply) => {
    let claims;
    try {
      claims = fastify.jwt.verify(request.body.refresh_token, { allowedAud: 'refresh' });
    } catch {
      return reply.code(401).send({ message: 'Invalid or expired refresh token' });
    }
    const user = await findUser(claims.sub);
    if (!user) return reply.code(404).send({ message: 'User not found' });
    return { access_token: accessToken(user) };
  },
);

fastify.post(
  '/login',
  { schema: { body: strings('email', 'password') } },
  async (request, reply) => {
    const { email, password } = request.body;
    const [[row]] = await pool.execute('SELECT * FROM users WHERE email = ?', [email]);
    if (!row || !(await verify(row.password_hash, password))) {
      return reply.code(401).send({ message: 'Invalid email or password' });
    }
    const { password_hash: _, ...user } = row;
    return { message: 'Login successful', ...tokens(user), user };
  },
);

fastify.post(
  '/register',
  { schema: { body: strings('username', 'email', 'password') } },
  async (request, reply) => {
    const { username, email, password } = request.body;
    const insert = 'INSERT INTO users (username, email, password_hash) VALUES (?, ?, ?)';
    const values = [username, email, await hash(password)]; // By default m=19456, t=2, p=1.
    const [{ insertId }] = await pool.execute(insert, values);
    reply.code(201);
    return { message: 'User created successfully', ...tokens({ id: insertId }) };
  },
);

async function findUser(id) {
  const [[user]] = await pool.execute('SELECT id, username FROM users WHERE id = ?', [id]);
  return user;
}

function accessToken({ id }) {
  return fastify.jwt.sign({ sub: String(id), aud: 'access' });
}

function tokens(user) {
  const claims = { sub: String(user.id), aud: 'refresh' };
  return {
    access_token: accessToken(user),
    refresh_token: fastify.jwt.sign(claims, { expiresIn: '30d' }),
  };
}

await fastify.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
console.log(`serves http://localhost:${fastify.server.address().port}`);
