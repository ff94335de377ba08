// NestJS with @nestjs/jwt, @nestjs/passport and knex, as its documentation has it, save that the
// decorators are applied by hand: this file is not compiled.
import 'reflect-metadata';
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Module,
  NotFoundException,
  Post,
  Req,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { hash, verify } from '@node-rs/argon2';
import Knex from 'knex';
import { ExtractJwt, Strategy } from 'passport-jwt';

const { DATABASE_URL, JWT_SECRET, ACCESS_TOKEN_TTL = '15m' } = process.env;

/** Does what `@decorator` before a method does. */
function decorate(Class, method, ...decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(Class.prototype, method);
  for (const decorator of decorators) decorator(Class.prototype, method, descriptor);
}

class UsersService {
  #knex = Knex({ client: 'mysql2', connection: DATABASE_URL });

  async onModuleInit() {
    if (await this.#knex.schema.hasTable('users')) return;
    await this.#knex.schema.createTable('users', (table) => {
      table.increments('id');
      table.string('username').notNullable();
      table.string('email').notNullable().unique();
      table.string('password_hash').notNullable();
      table.timestamp('date_created').defaultTo(this.#knex.fn.now());
    });
  }

  findOne(where) {
    return this.#knex('users').where(where).first();
  }

  async create(user) {
    const [id] = await this.#knex('users').insert(user);
    return { id };
  }
}
Injectable()(UsersService);

class AuthService {
  constructor(users, jwt) {
    this.users = users;
    this.jwt = jwt;
  }

  async login(email, password) {
    const user = await this.users.findOne({ email });
    if (!user || !(await verify(user.password_hash, password))) {
      throw new UnauthorizedException('Invalid email or password');
    }
    const { id, username, date_created } = user;
    const shown = { id, username, email, date_created };
    return { message: 'Login successful', ...(await this.tokens(user)), user: shown };
  }

  async register({ username, email, password }) {
    const password_hash = await hash(password); // By default m=19456, t=2, p=1.
    const user = await this.users.create({ username, email, password_hash });
    return { message: 'User created successfully', ...(await this.tokens(user)) };
  }

  async refresh(token) {
    const claims = await this.jwt.verifyAsync(token, { audience: 'refresh' }).catch(() => {
      throw new UnauthorizedException('Invalid or expired refresh token');
    });
    const user = await this.users.findOne({ id: claims.sub });
    if (!user) throw new NotFoundException('User not found');
    return { access_token: await this.accessToken(user) };
  }

  accessToken({ id }) {
    return this.jwt.signAsync({ sub: String(id), aud: 'access' });
  }

  async tokens(user) {
    const claims = { sub: String(user.id), aud: 'refresh' };
    return {
      access_token: await this.accessToken(user),
      refresh_token: await this.jwt.signAsync(claims, { expiresIn: '30d' }),
    };
  }
}
Injectable()(AuthService);
Inject(UsersService)(AuthService, undefined, 0);
Inject(JwtService)(AuthService, undefined, 1);

class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(users) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      ignoreExpiration: false,
      secretOrKey: JWT_SECRET,
      audience: 'access',
    });
    this.users = users;
  }

  validate(claims) {
    return this.users.findOne({ id: claims.sub });
  }
}
Injectable()(JwtStrategy);
Inject(UsersService)(JwtStrategy, undefined, 0);

class AuthController {
  constructor(auth) {
    this.auth = auth;
  }

  hello(request) {
    return { message: `Hello, ${request.user.username}. This is a protected route.` };
  }

  login({ email, password }) {
    return this.auth.login(email, password);
  }

  register(body) {
    return this.auth.register(body);
  }

  refresh({ refresh_token }) {
    return this.auth.refresh(refresh_token);
  }
}
Controller()(AuthController);
Inject(AuthService)(AuthController, undefined, 0);
Req()(AuthController.prototype, 'hello', 0);
decorate(AuthController, 'hello', Get('protected'), UseGuards(AuthGuard('jwt')));
for (const method of ['login', 'register', 'refresh']) {
  Body()(AuthController.prototype, method, 0);
}
decorate(AuthController, 'login', Post('login'), HttpCode(200));
decorate(AuthController, 'register', Post('register'));
decorate(AuthController, 'refresh', Post('refresh'), HttpCode(200));

class AppModule {}
Module({
  imports: [
    PassportModule,
    JwtModule.register({ secret: JWT_SECRET, signOptions: { expiresIn: ACCESS_TOKEN_TTL } }),
  ],
  controllers: [AuthController],
  providers: [UsersService, AuthService, JwtStrategy],
})(AppModule);

const app = await NestFactory.create(AppModule, { logger: ['error'] });
await app.listen(Number(process.env.PORT), '127.0.0.1');
console.log(`serves http://localhost:${app.getHttpServer().address().port}`);
