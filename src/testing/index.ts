/**
 * What every adapter of a port must keep, as cases for any test runner, and parts for the tests of
 * programs that embed the library. A contract is bound in one line, the same for uvu, node:test and vitest:
 *
 * `for (const { name, run } of userRepositoryContract(open)) test(name, run);`
 */
export { attemptCounterContract, type OpenedCounter } from './attempt-counter.ts';
export type { Case, Closable, Open } from './case.ts';
export { clockContract } from './clock.ts';
export { conformance, type ConformanceOptions, httpContract } from './http/conformance.ts';
export type {
  ContractCase,
  Exchange,
  ExpectedAnswer,
  Json,
  Step,
} from './http/contract.ts';
export { idGeneratorContract } from './id-generator.ts';
export { lostAnswerContract, type OpenedLossyStore } from './lost-answers.ts';
export { FastHasher, FixedClock, SequentialIds } from './parts.ts';
export {
  type OutdatedHash,
  passwordHasherContract,
  type PasswordHasherFacts,
} from './password-hasher.ts';
export { sessionRepositoryContract } from './session-repository.ts';
export type { OpenedStore, Repositories } from './store.ts';
export { tokenIssuerContract, type TokenIssuerFacts } from './token-issuer.ts';
export { userRepositoryContract } from './user-repository.ts';
