import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import { SESSION_SETTINGS } from '../connection/mysql-client.ts';
import { BackupRefused } from './backup-file.ts';
import type { MysqlTarget } from '../connection/target.ts';

/** The programs that come with a database, of either make. */
const NAMES = {
  dump: { mariadb: 'mariadb-dump', mysql: 'mysqldump' },
  client: { mariadb: 'mariadb', mysql: 'mysql' },
} as const;

/**
 * A program that is installed here, and whose it is, whatever its name: `mysqldump` can be
 * MariaDB's.
 */
interface Installed {
  readonly name: string;
  readonly isMariadb: boolean;
}

/**
 * Runs the programs that come with MariaDB and MySQL at the first host of `target`. They get the
 * password by their environment, which their own user alone can read, as that of the service: never
 * as an argument, which everybody can. No option file of the machine or of the user is heeded.
 */
export class MysqlPrograms {
  readonly #target: MysqlTarget;
  readonly #isMariadb: boolean;
  readonly #folder = mkdtempSync(join(tmpdir(), 'portcullis-backup-'));
  readonly #signal: AbortSignal | undefined;

  /** `isMariadb`: the server. Programs of its own make are preferred. End it with `close()`. */
  constructor(target: MysqlTarget, isMariadb: boolean, signal: AbortSignal | undefined) {
    this.#target = target;
    this.#isMariadb = isMariadb;
    this.#signal = signal;
  }

  /** What the dump program prints, with these arguments after the name of the database. */
  async *dump(tables: readonly string[], options: readonly string[] = []): AsyncGenerator<Buffer> {
    const program = await this.#find('dump');
    const child = this.#spawn(program, [
      ...(program.isMariadb ? [] : ['--set-gtid-purged=OFF', '--loose-column-statistics=0']),
      ...options,
      '--',
      this.#target.database,
      ...tables,
    ]);
    child.stdin.end();
    const ended = endOf(child);
    for await (const part of child.stdout) if (Buffer.isBuffer(part)) yield part;
    const { code, said } = await ended;
    if (code !== 0) throw new BackupRefused(`${program.name} failed: ${said || code}`);
  }

  /** Has the server do what these statements say, until one fails. */
  async run(sql: AsyncIterable<string | Uint8Array>): Promise<void> {
    const program = await this.#find('client');
    // --binary-mode: in a file that is run, no line is a command to the program itself.
    const child = this.#spawn(program, [
      `--init-command=SET SESSION ${SESSION_SETTINGS}`,
      '--binary-mode',
      '--',
      this.#target.database,
    ]);
    child.stdout.resume();
    const ended = endOf(child);
    const written = pipeline(sql, child.stdin).then(
      () => undefined,
      (fault: unknown) => fault,
    );
    const [{ code, said }, fault] = await Promise.all([ended, written]);
    // The rest can quote the statement, and with it what it holds.
    const error = /ERROR \d+ \(\w+\)(?: at line \d+)?/.exec(said)?.[0];
    if (code !== 0) throw new BackupRefused(`${program.name} failed: ${error ?? code}`);
    if (fault !== undefined) throw fault;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #find(what: keyof typeof NAMES): Promise<Installed> {
    const { mariadb, mysql } = NAMES[what];
    for (const name of this.#isMariadb ? [mariadb, mysql] : [mysql, mariadb]) {
      const version = await promisify(execFile)(name, ['--version']).catch(() => undefined);
      if (version) return { name, isMariadb: version.stdout.includes('MariaDB') };
    }
    throw new BackupRefused(
      `neither ${mariadb} nor ${mysql} is installed here: they come with the clients of the database`,
    );
  }

  #spawn(program: Installed, more: readonly string[]) {
    const { hosts, user, password } = this.#target;
    const [{ host, port } = { host: '', port: 0 }] = hosts;
    const args = [
      '--no-defaults',
      '--protocol=TCP',
      `--host=${host}`,
      `--port=${port}`,
      `--user=${user}`,
      '--default-character-set=utf8mb4',
      ...this.#tlsOptions(program),
      ...more,
    ];
    // Without HOME, where MySQL's programs look for a login that comes before any other.
    const env = { PATH: process.env['PATH'], MYSQL_PWD: password };
    return spawn(program.name, args, { env, stdio: 'pipe', signal: this.#signal });
  }

  #tlsOptions({ isMariadb }: Installed): readonly string[] {
    const { tls } = this.#target;
    if (tls === undefined) {
      return isMariadb ? ['--skip-ssl'] : ['--ssl-mode=DISABLED', '--get-server-public-key'];
    }
    const versions = '--tls-version=TLSv1.2,TLSv1.3';
    if (tls.verify === 'nothing') {
      return isMariadb
        ? ['--ssl', '--skip-ssl-verify-server-cert', versions]
        : ['--ssl-mode=REQUIRED', versions];
    }
    const file = join(this.#folder, 'authorities.pem');
    writeFileSync(file, tls.ca ?? rootCertificates.join('\n'));
    const ca = `--ssl-ca=${file}`;
    // MariaDB's have nothing in between: without the name, they take a server that has no TLS at
    // all.
    if (isMariadb) return ['--ssl', '--ssl-verify-server-cert', ca, versions];
    return [`--ssl-mode=VERIFY_${tls.verify === 'identity' ? 'IDENTITY' : 'CA'}`, ca, versions];
  }
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Never rejects. */
function endOf(child: Child): Promise<{ code: number | string; said: string }> {
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-500);
  });
  return new Promise((resolve) => {
    child.once('error', (fault) => resolve({ code: fault.message, said }));
    child.once('close', (code, signal) => {
      resolve({ code: code ?? signal ?? 'unknown', said: said.trim().split('\n').at(-1) ?? '' });
    });
  });
}
