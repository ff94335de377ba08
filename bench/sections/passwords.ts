/** POST /login and POST /register, against what argon2id alone does with the same cores. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { rates, ratioBar, readingsTable, SECONDS, type Section } from '../findings.ts';
import { type Reading, readNumbers } from '../load.ts';
import { login, NAMES, registration } from '../stage.ts';
import { inTurn, loopRounds } from '../visits.ts';

const LOGIN_BAR = 0.95;
const SCRYPT_BAR = 8;
const REGISTER_BAR = 0.93;
/** Enough requests that a password is always waiting in the hash queue. */
const IN_FLIGHT = 8;
const ARGON2 = 'argon2id alone, two at once';

export const loginSection: Section = {
  name: 'login',
  async run(stage) {
    const servers = await stage.servers('service', 'fastify', 'express', 'better-auth');
    const found = await loopRounds(
      servers,
      { inFlight: IN_FLIGHT, status: 200 },
      ({ accounts }) => inTurn(accounts, ({ email }) => login(email)),
      new Map([[ARGON2, () => argon2('verify')]]),
    );
    const against = (title: string, name: string, atLeast: number) =>
      ratioBar(title, rates(found, 'service'), rates(found, name), { atLeast });
    return {
      bars: [
        against('logins/s, against argon2id verified alone', ARGON2, LOGIN_BAR),
        against(`logins/s, against ${NAMES['better-auth']}'s scrypt`, 'better-auth', SCRYPT_BAR),
      ],
      tables: { [`${IN_FLIGHT} at once`]: readingsTable(found) },
    };
  },
};

export const registerSection: Section = {
  name: 'register',
  async run(stage) {
    const servers = await stage.servers('service', 'fastify');
    let count = 0;
    const next = () => registration('New', `new${(count += 1)}@example.com`);
    const load = { inFlight: IN_FLIGHT, status: 201 };
    const alone = new Map([[ARGON2, () => argon2('hash')]]);
    const found = await loopRounds(servers, load, () => next, alone);
    const [ours, theirs] = [rates(found, 'service'), rates(found, ARGON2)];
    const bound = { atLeast: REGISTER_BAR };
    return {
      bars: [ratioBar('registrations/s, against argon2id hashed alone', ours, theirs, bound)],
      tables: { [`${IN_FLIGHT} at once`]: readingsTable(found) },
    };
  },
};

/** Measures argon2id in a process of its own. */
async function argon2(kind: 'verify' | 'hash'): Promise<Reading> {
  const args = [join(import.meta.dirname, '../argon2.mjs'), kind, `${SECONDS}`];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const found = readNumbers(stdout);
  const cpu = found('cpu') * 1e6;
  return { rate: found('rate'), p99: Number.NaN, serverCpu: cpu, totalCpu: cpu };
}
