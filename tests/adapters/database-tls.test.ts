import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startProgram, TEST_ENV } from '../support/service.ts';
import { openUrl } from '../support/stores.ts';
import { canHaveTls, withTlsServer } from '../support/tls-server.ts';

const tls = suite('TLS to MariaDB');

function it(title: string, run: () => Promise<void>): void {
  if (canHaveTls) tls(title, run);
  else tls.skip(title, run);
}

/** The cipher of a connection: the empty string where it has none; or what it is refused for. */
async function cipherOf(host: string, port: number, options: string): Promise<string> {
  const knex = openUrl(`mysql://tester:tester@${host}:${port}/mysql${options}`);
  if (knex === undefined) throw new Error('no pool');
  try {
    const [[row]] = (await knex.raw("SHOW STATUS LIKE 'Ssl_cipher'")) as [{ Value: string }[]];
    return row?.Value ?? 'none';
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string };
    return `refused: ${code} ${message}`;
  } finally {
    await knex.destroy();
  }
}

async function failureToStart(databaseUrl: string): Promise<string> {
  const env = { ...TEST_ENV, DATABASE_URL: databaseUrl };
  return String(await startProgram(env).catch((failure: unknown) => failure));
}

const CIPHER = /^TLS_[A-Z\d_]+$/;
const UNKNOWN_AUTHORITY = /^refused: .*(?:self-signed certificate|unable to verify)/;
const WRONG_NAME = /^refused: .*does not match certificate's altnames/;

it('is as the URL asks: none, any, of a known authority, of the right name', () =>
  withTlsServer('DNS:localhost', async ({ port, ca, otherCa }) => {
    const cipher = (host: string, options: string) => cipherOf(host, port, options);
    assert.is(await cipher('localhost', ''), '');
    assert.is(await cipher('localhost', '?ssl-mode=DISABLED'), '');
    assert.match(await cipher('localhost', '?ssl-mode=REQUIRED'), CIPHER);
    assert.match(await cipher('127.0.0.1', '?ssl-mode=required'), CIPHER);

    for (const host of ['localhost', '127.0.0.1']) {
      const by = (file: string) => cipher(host, `?ssl-mode=VERIFY_CA&ssl-ca=${file}`);
      assert.match(await by(ca), CIPHER, host);
      assert.match(await by(otherCa), UNKNOWN_AUTHORITY, host);
    }
    assert.match(await cipher('localhost', '?ssl-mode=VERIFY_CA'), UNKNOWN_AUTHORITY);

    const named = (host: string, file: string) =>
      cipher(host, `?ssl-mode=VERIFY_IDENTITY&ssl-ca=${file}`);
    assert.match(await named('localhost', ca), CIPHER);
    assert.match(await named('localhost', otherCa), UNKNOWN_AUTHORITY);
    assert.match(await named('127.0.0.1', ca), WRONG_NAME, 'an address is not "localhost"');

    const url = `mysql://tester:tester@localhost:${port}/mysql?ssl-mode=VERIFY_CA&ssl-ca=${otherCa}`;
    const line = /DATABASE_URL cannot be used: Error "TLS: [^"]*(?:self-signed|unable to verify)/;
    assert.match(await failureToStart(url), line);
  }));

it('takes a name for no other, and an address that the certificate names', () =>
  withTlsServer('IP:127.0.0.1', async ({ port, ca }) => {
    const options = `?ssl-mode=VERIFY_IDENTITY&ssl-ca=${encodeURIComponent(ca)}`;
    assert.match(await cipherOf('127.0.0.1', port, options), CIPHER);
    assert.match(await cipherOf('localhost', port, options), WRONG_NAME);
    assert.match(await cipherOf('localhost', port, `?ssl-mode=VERIFY_CA&ssl-ca=${ca}`), CIPHER);
  }));

it('is not given up where the server has none, and the service says why it does not start', () =>
  withTlsServer(undefined, async ({ port, ca }) => {
    assert.is(await cipherOf('127.0.0.1', port, ''), '');
    for (const mode of ['REQUIRED', `VERIFY_CA&ssl-ca=${ca}`, `VERIFY_IDENTITY&ssl-ca=${ca}`]) {
      const refused = await cipherOf('127.0.0.1', port, `?ssl-mode=${mode}`);
      assert.match(refused, /^refused: HANDSHAKE_NO_SSL_SUPPORT /, mode);
    }
    const DATABASE_URL = `mysql://tester:tester@127.0.0.1:${port}/mysql?ssl-mode=REQUIRED`;
    const line = /DATABASE_URL cannot be used: .*HANDSHAKE_NO_SSL_SUPPORT/;
    assert.match(await failureToStart(DATABASE_URL), line);
  }));

tls.run();
