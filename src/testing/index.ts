/**
 * The contracts of the ports, as cases for any test runner, and fakes for the tests of programs
 * that embed the library. One line runs a contract in uvu, node:test and vitest:
 *
 * `for (const { name, run } of userRepositoryContract(open)) test(name, run);`
 */
export { attemptCounterContract, type OpenedCounter } from './attempt-counter.ts';
export type { Case, Closable, Open } from './case.ts';
export { clockContract } from './clock.ts';
export { type ConformanceOptions, conformance, httpContract } from './http/conformance.ts';
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
  type PasswordHasherFacts,
  passwordHasherContract,
} from './password-hasher.ts';
export { sessionRepositoryContract } from './session-repository.ts';
export type { OpenedStore, Repositories } from './store.ts';
export { type TokenIssuerFacts, tokenIssuerContract } from './token-issuer.ts';
export { userRepositoryContract } from './user-repository.ts';
