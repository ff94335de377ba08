/** Where the rows are: a file, or one of several equal servers. */
export type DatabaseTarget = SqliteTarget | MysqlTarget;

/** A SQLite file. */
export interface SqliteTarget {
  readonly kind: 'sqlite';
  readonly path: string;
}

/** One of several equal MySQL or MariaDB servers. */
export interface MysqlTarget {
  readonly kind: 'mysql';
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Absent: nothing is encrypted. */
  readonly tls?: DatabaseTls;
}

/** The target of each kind, for tables by kind. */
export type TargetsByKind = {
  readonly [Target in DatabaseTarget as Target['kind']]: Target;
};

/** How the connection to MySQL or MariaDB is encrypted. */
export interface DatabaseTls {
  /** What is checked of the server's certificate: nothing, its authority, or its name as well. */
  readonly verify: 'nothing' | 'authority' | 'identity';
  /** The certificates of the authorities to trust, in PEM. Default: those that Node trusts. */
  readonly ca?: string;
}
