import type { EmbeddedAuth, Role, UserRecord } from '../application/index.ts';
import { printable } from '../adapters/log/faults.ts';
import { withParts } from './harness.ts';
import { confirm, readPassword, type Report, write } from './terminal.ts';
import { fieldsOf } from './user-fields.ts';

function lineOf({ id, username, email, role, disabled, dateCreated }: UserRecord): string {
  const state = disabled ? `${role}, disabled` : role;
  const date = dateCreated.toISOString();
  return `${String(id).padEnd(8)}${date}  ${state.padEnd(16)}${email.padEnd(36)}  ${username}`;
}

/** Finds the user by id or email, and passes it to `use`. */
async function withUser(
  name: string,
  use: (auth: EmbeddedAuth, user: UserRecord) => Promise<Report>,
): Promise<Report> {
  return withParts(async (part) => {
    const auth = part('auth');
    const isId = /^\d{1,15}$/.test(name);
    return use(auth, await auth.findUser(isId ? { id: Number(name) } : { email: name }));
  });
}

function done(what: string, user: UserRecord): Report {
  return { lines: [`${what}: ${user.email} (${user.id})`], data: fieldsOf(user) };
}

interface ListOptions {
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  readonly json?: true | undefined;
}

/** Prints page by page, in flat memory. */
export async function listUsers({ after, limit, json }: ListOptions): Promise<Report> {
  let count = 0;
  return withParts(async (part) => {
    const { pages, next } = await part('auth').listUsers({
      ...(after !== undefined && { after }),
      ...(limit !== undefined && { limit }),
    });
    if (json) await write('{"users":[');
    for await (const page of pages) {
      const texts = page.map((user) =>
        json ? JSON.stringify(fieldsOf(user)) : printable(lineOf(user)),
      );
      const separator = json && count > 0 ? ',' : '';
      await write(separator + texts.join(json ? ',' : '\n') + (json ? '' : '\n'));
      count += page.length;
    }
    if (json) await write(`],"next":${next ?? null}}\n`);
    else if (next !== undefined) await write(`More of them: --after ${next}\n`);
    return { lines: [], data: undefined };
  });
}

export function showUser(name: string): Promise<Report> {
  return withUser(name, async (_, user) => {
    const data = fieldsOf(user);
    const lines = Object.entries(data).map(([field, value]) => {
      const text = typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
      return `${field.padEnd(14)}${text}`;
    });
    return { lines, data };
  });
}

interface CreateOptions {
  readonly role?: Role | undefined;
  readonly passwordStdin?: true | undefined;
}

export function createUser(
  email: string,
  username: string,
  options: CreateOptions,
): Promise<Report> {
  return withParts(async (part) => {
    const password = await readPassword(options.passwordStdin ?? false);
    const user = await part('auth').createUser({ email, username, password, role: options.role });
    return done('Created', user);
  });
}

export function disableUser(name: string): Promise<Report> {
  return withUser(name, async (auth, { id }) =>
    done('Disabled, and every session has ended', await auth.disableUser({ userId: id })),
  );
}

export function enableUser(name: string): Promise<Report> {
  return withUser(name, async (auth, { id }) =>
    done('Enabled', await auth.enableUser({ userId: id })),
  );
}

export function deleteUser(name: string, { yes }: { yes?: true | undefined }): Promise<Report> {
  return withUser(name, async (auth, user) => {
    if (!yes) await confirm(`Delete ${user.email} (${user.id}), and every session of theirs?`);
    await auth.deleteUser({ userId: user.id });
    return done('Deleted', user);
  });
}

export function setPassword(
  name: string,
  { passwordStdin = false }: { readonly passwordStdin?: boolean | undefined },
): Promise<Report> {
  return withUser(name, async (auth, user) => {
    const password = await readPassword(passwordStdin);
    await auth.setPassword({ userId: user.id, password });
    return done('The password is set, and every session has ended', user);
  });
}

export function setRole(name: string, role: Role): Promise<Report> {
  return withUser(name, async (auth, { id }) =>
    done(`The role is ${role}`, await auth.setRole({ userId: id, role })),
  );
}
