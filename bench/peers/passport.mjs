// Express with passport-jwt and knex, as their documentation has it.
import { hash, verify } from '@node-rs/argon2';
import express from 'express';
import jwt from 'jsonwebtoken';
import Knex from 'knex';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';

const { DATABASE_URL, JWT_SECRET, ACCESS_TOKEN_TTL = '15m' } = process.env;
const knex = Knex({ client: 'mysql2', connection: DATABASE_URL });
if (!(await knex.schema.hasTable('users'))) {
  await knex.schema.createTable('users', (table) => {
    table.increments('id');
    table.string('username').notNullable();
    table.string('email').notNullable().unique();
    table.string('password_hash').notNullable();
    table.timestamp('date_created').defaultTo(knex.fn.now());
  });
}

const options = {
  jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
  secretOrKey: JWT_SECRET,
  audience: 'access',
};
passport.use(
  new Strategy(options, async (claims, done) => {
    try {
      done(null, (await knex('users').where({ id: claims.sub }).first()) ?? false);
    } catch (error) {
      done(error);
    }
  }),
);

const app = express();
app.use(express.json());
app.use(passport.initialize());

app.get('/protected', passport.authenticate('jwt', { session: false }), (request, response) => {
  response.json({ message: `Hello, ${request.user.username}. This is a protected route.` });
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
  const password_hash = await hash(password); // By default m=19456, t=2, p=1.
  const [id] = await knex('users').insert({ username, email, password_hash });
  response.status(201).json({ message: 'User created successfully', ...tokens({ id }) });
});

function tokens({ id }) {
  const sign = (audience, expiresIn) =>
    jwt.sign({}, JWT_SECRET, { subject: String(id), audience, expiresIn });
  return { access_token: sign('access', ACCESS_TOKEN_TTL), refresh_token: sign('refresh', '30d') };
}

const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
