import type { Knex } from 'knex';
import { isAvailable, STORE_NAMES, withRepositories } from '../support/stores.ts';
import { runContract } from './cases.ts';
import {
  sessionRepositoryContract,
  userRepositoryContract,
  type WithStore,
} from './repositories.ts';

function deletion(knex: Knex) {
  return async (id: number) => {
    await knex('users').where({ id }).delete();
  };
}

for (const name of STORE_NAMES) {
  const withStore: WithStore = (use) =>
    withRepositories(name, (one, other, knex) =>
      use({ one, other, deleteUser: knex ? deletion(knex) : (id) => one.users.delete(id, 0) }),
    );
  runContract(`UserRepository on ${name}`, userRepositoryContract(withStore), isAvailable(name));
  runContract(
    `SessionRepository on ${name}`,
    sessionRepositoryContract(withStore),
    isAvailable(name),
  );
}
