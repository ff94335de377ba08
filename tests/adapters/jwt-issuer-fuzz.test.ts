import { fuzzTokens } from '../support/token-mutants.ts';

fuzzTokens('A fifth of the mutants of a token', 5);
