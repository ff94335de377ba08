// knex ships its dialects without types. These say what our clients use and replace of them.

interface KnexQuery {
  readonly sql: string;
  readonly bindings?: readonly (string | number | null)[];
  response?: unknown;
}

declare module 'knex/lib/dialects/mysql2/index.js' {
  import { type Connection } from 'mysql2';
  import { type Knex } from 'knex';

  export default class MysqlDialect<Settings extends object> extends Knex.Client {
    readonly connectionSettings: Settings;
    _driver(): unknown;
    acquireConnection(): Promise<Connection>;
    releaseConnection(connection: Connection): Promise<void>;
    acquireRawConnection(): Promise<Connection>;
    destroyRawConnection(connection: Connection): Promise<void>;
    _query(connection: Connection, query: KnexQuery): Promise<KnexQuery>;
    validateConnection(connection: Connection): Promise<boolean>;
  }
}

declare module 'knex/lib/dialects/better-sqlite3/index.js' {
  import { type Knex } from 'knex';
  import type Database from 'libsql';

  export default class SqliteDialect<Settings extends object> extends Knex.Client {
    readonly connectionSettings: Settings;
    _driver(): unknown;
    acquireRawConnection(): Promise<Database.Database>;
    _query(connection: Database.Database, query: KnexQuery): Promise<KnexQuery>;
    validateConnection(connection: Database.Database): Promise<boolean>;
  }
}
