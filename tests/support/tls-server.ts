import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { mariadbServer, temporaryFolder } from './programs.ts';

const daemon = process.env['TEST_MARIADBD'] ?? '';
const openssl = process.env['TEST_OPENSSL'] ?? '';

export const canHaveTls = daemon !== '' && openssl !== '';

/** A server whose certificate has this name (`DNS:localhost`, `IP:127.0.0.1`); none: without TLS. */
export async function withTlsServer(
  name: string | undefined,
  use: (server: { port: number; ca: string; otherCa: string }) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const path = (file: string) => join(folder.path, file);
  const certificate = (file: string, ...more: readonly string[]) => {
    const keys = ['-newkey', 'rsa:2048', '-nodes', '-keyout', path(`${file}.key`)];
    const made = ['-x509', '-days', '2', '-subj', `/CN=${file}`, '-out', path(`${file}.pem`)];
    execFileSync(openssl, ['req', ...keys, ...made, ...more], { stdio: 'ignore' });
  };
  try {
    for (const file of ['ca', 'other-ca']) certificate(file);
    const by = ['-CA', path('ca.pem'), '-CAkey', path('ca.key')];
    certificate('server', ...by, '-addext', `subjectAltName=${name ?? 'DNS:none'}`);
    const files = [`--ssl-cert=${path('server.pem')}`, `--ssl-key=${path('server.key')}`];
    const server = await mariadbServer(daemon, name === undefined ? ['--skip-ssl'] : files);
    try {
      await use({ port: server.port, ca: path('ca.pem'), otherCa: path('other-ca.pem') });
    } finally {
      await server.remove();
    }
  } finally {
    folder.remove();
  }
}
