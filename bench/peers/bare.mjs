// The smallest server of this API: node:http, jsonwebtoken, one prepared statement per request.
import { createSecretKey } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { hash, verify } from '@node-rs/argon2';
import jwt from 'jsonwebtoken';
import { createPool } from 'mysql2/promise';

const { DATABASE_URL, JWT_SECRET, ACCESS_TOKEN_TTL = '15m' } = process.env;
const key = createSecretKey(Buffer.from(JWT_SECRET));
const access = { algorithms: ['HS256'], audience: 'access' };
const refresh = { algorithms: ['HS256'], audience: 'refresh' };
const pool = createPool(DATABASE_URL);
await pool.query(`CREATE TABLE IF NOT EXISTS users (
  id INT AUTO_INCREMENT PRIMARY KEY,
  username VARCHAR(255) NOT NULL,
  email VARCHAR(255) NOT NULL UNIQUE,
  password_hash VARCHAR(255) NOT NULL,
  date_created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)`);

const routes = {
  async 'GET /protected'(request) {
    const user = await userOf(request.headers.authorization?.slice('Bearer '.length), access);
    if (!user) return [401, { message: 'Token is invalid or expired!' }];
    return [200, { message: `Hello, ${user.username}. This is a protected route.` }];
  },
  async 'POST /refresh'(request) {
    const { refresh_token } = await json(request);
    const user = await userOf(refresh_token, refresh);
    if (!user) return [401, { message: 'Invalid or expired refresh token' }];
    return [200, { access_token: accessToken(user) }];
  },
  async 'POST /login'(request) {
    const { email, password } = await json(request);
    const [[row]] = await pool.execute('SELECT * FROM users WHERE email = ?', [email]);
    if (!row || !(await verify(row.password_hash, password))) {
      return [401, { message: 'Invalid email or password' }];
    }
    const { password_hash: _, ...user } = row;
    return [200, { message: 'Login successful', ...tokens(user), user }];
  },
  async 'POST /register'(request) {
    const { username, email, password } = await json(request);
    const insert = 'INSERT INTO users (username, email, password_hash) VALUES (?, ?, ?)';
    const values = [username, email, await hash(password)]; // By default m=19456, t=2, p=1.
    const [{ insertId }] = await pool.execute(insert, values);
    return [201, { message: 'User created successfully', ...tokens({ id: insertId }) }];
  },
};

async function userOf(token, options) {
  let claims;
  try {
    claims = jwt.verify(token, key, options);
  } catch {
    return undefined;
  }
  const select = 'SELECT id, username FROM users WHERE id = ?';
  const [[user]] = await pool.execute(select, [claims.sub]);
  return user;
}

function accessToken({ id }) {
  const options = { subject: String(id), audience: 'access', expiresIn: ACCESS_TOKEN_TTL };
  return jwt.sign({}, key, options);
}

function tokens(user) {
  const options = { subject: String(user.id), audience: 'refresh', expiresIn: '30d' };
  return { access_token: accessToken(user), refresh_token: jwt.sign({}, key, options) };
}

function send(response, [status, body]) {
  const text = JSON.stringify(body);
  const length = Buffer.byteLength(text);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': length });
  response.end(text);
}

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) return send(response, [404, { message: 'Not found' }]);
  route(request).then(
    (reply) => send(response, reply),
    () => send(response, [500, { message: 'An error occurred' }]),
  );
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
