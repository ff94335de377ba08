/** The lifetime of an access token, in seconds: 15 minutes. */
export const ACCESS_TOKEN_TTL = 15 * 60;

/** The lifetime of a session and its refresh tokens, in seconds: 30 days. */
export const REFRESH_TOKEN_TTL = 30 * 24 * 60 * 60;

/** The cost of a password hash: one of OWASP's choices for argon2id. */
export const HASH_COST = { memoryKib: 19_456, passes: 2, parallelism: 1 };

/** The most hashes that wait for their turn. */
export const HASH_QUEUE = 64;
