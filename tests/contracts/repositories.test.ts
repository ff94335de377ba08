import { sessionRepositoryContract, userRepositoryContract } from '../../src/testing/index.ts';
import { runContract } from '../support/contracts.ts';
import { isAvailable, openStore, STORE_NAMES } from '../support/stores.ts';

for (const name of STORE_NAMES) {
  const open = () => openStore(name);
  runContract(`UserRepository on ${name}`, userRepositoryContract(open), isAvailable(name));
  runContract(`SessionRepository on ${name}`, sessionRepositoryContract(open), isAvailable(name));
}
