/** Where the rows are: a file, or one of several equal servers. */
export type DatabaseTarget =
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'mysql';
      readonly hosts: readonly { readonly host: string; readonly port: number }[];
      readonly user: string;
      readonly password: string;
      readonly database: string;
      /** Absent: nothing is encrypted. */
      readonly tls?: DatabaseTls;
    };

/** How the connection to MySQL or MariaDB is encrypted. */
export interface DatabaseTls {
  /** What must be right about the server's certificate: nothing, who signed it, or its name as well. */
  readonly verify: 'nothing' | 'authority' | 'identity';
  /** Whose signature counts, in PEM; without it that of any authority that Node knows. */
  readonly ca?: string;
}
