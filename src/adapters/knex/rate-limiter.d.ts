// The base class of rate-limiter-flexible's stores is typed without what a store implements.

declare module 'rate-limiter-flexible/lib/RateLimiterStoreAbstract.js' {
  import type { RateLimiterAbstract } from 'rate-limiter-flexible';
  import { type RateLimiterRes } from 'rate-limiter-flexible';

  interface Options {
    readonly points: number;
    readonly duration: number;
    readonly keyPrefix: string;
    readonly storeClient: object;
  }

  export default abstract class RateLimiterStoreAbstract<Row> extends RateLimiterAbstract {
    constructor(options: Options);
    abstract _upsert(id: string, points: number, ms: number): Promise<Row>;
    abstract _get(id: string): Promise<Row | null>;
    abstract _delete(id: string): Promise<boolean>;
    abstract _getRateLimiterRes(id: string, points: number, row: Row): RateLimiterRes;
  }
}
