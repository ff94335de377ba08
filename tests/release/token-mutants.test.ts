import { fuzzTokens } from '../support/token-mutants.ts';

fuzzTokens('All mutants of a token', 1);
