import { lostAnswerContract } from '../../src/testing/index.ts';
import { runContract } from '../support/contracts.ts';
import { openLossyStore } from '../support/lossy-stores.ts';
import { isAvailable, STORE_NAMES } from '../support/stores.ts';

for (const name of STORE_NAMES) {
  const cases = lostAnswerContract(() => openLossyStore(name));
  runContract(`Answers that are lost on ${name}`, cases, isAvailable(name));
}
