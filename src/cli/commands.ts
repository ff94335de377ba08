import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Command,
  type CommandUnknownOpts,
  InvalidArgumentError,
  Option,
} from '@commander-js/extra-typings';
import { Refused, runCommand } from './terminal.ts';

// The code of each command is loaded when the command runs.

const ROLES = ['user', 'admin'] as const;
const KEY_TYPES = ['es256', 'rs256', 'secret'] as const;
const FORMATS = ['csv', 'jsonl'] as const;

/** All commands, with their options and help. Wrong usage throws a CommanderError. */
export function portcullis(): CommandUnknownOpts {
  const program = new Command('portcullis')
    .description('Runs and looks after Portcullis, by the settings of the environment.')
    .version(versionOfPackage(), '-V, --version', 'print the version')
    .addHelpText(
      'after',
      `
Settings are environment variables, the same as for the service. migrate, backup, restore, users import and users
export read DATABASE_URL (migrate AUDIT, too); all other commands of users and sessions those of the database,
passwords, hashes and audit records: these need no key. No password is ever an argument.

--json prints one JSON value instead of text, {"error": …} where it could not be done. What went wrong is text on standard
error in either case.

Exit codes: 0 done, and all in order; 1 not done, or not in order; 2 it was asked for wrongly.`,
    );

  program
    .command('serve')
    .description('serve, as npm start does')
    .action(async () => (await import('./serve.ts')).runService());

  withJson(program.command('migrate'))
    .description('make the tables, or bring them up to date')
    .action((options) =>
      runCommand(options, async () => (await import('./migrate.ts')).runMigrate()),
    );

  withJson(program.command('doctor'))
    .description('say what is unsafe in the settings and the live database')
    .action((options) =>
      runCommand(options, async () => (await import('./doctor.ts')).examineAll(process.env)),
    );

  withJson(program.command('backup'))
    .description('write the whole database to a new file, while the service runs')
    .argument('<file>', 'made with mode 0600, never overwritten')
    .action((file, options) =>
      runCommand(options, async () => (await import('./backup.ts')).runBackup(file)),
    );

  withJson(program.command('restore'))
    .description('bring the database back to what a backup holds; stop the service first')
    .argument('<file>', 'of portcullis backup')
    .option('--replace', 'throw away what is in the database')
    .option('--without-sessions', 'sign everybody out')
    .action((file, options) =>
      runCommand(options, async () => (await import('./backup.ts')).runRestore(file, options)),
    );

  addUsers(program.command('users').description('list, create, change, import and export users'));

  const sessions = program.command('sessions').description('the sessions of all users');
  withJson(sessions.command('prune'))
    .description(
      'remove expired sessions, counts of attempts and audit records now; the service does so every hour',
    )
    .action((options) =>
      runCommand(options, async () => (await import('./prune.ts')).pruneSessions()),
    );

  addKeys(program.command('keys').description('make and rotate the keys that sign tokens'));

  withJson(program.command('conformance'))
    .description(
      'try whether a server keeps the documented contract; registers some forty users there',
    )
    .argument('<url>', 'such as http://localhost:8000')
    .option('--everything', 'also what Portcullis has decided where the document is silent')
    .addOption(
      new Option('--users-access <who>', 'who may read GET /users there').choices([
        'public',
        'authenticated',
        'admin',
        'disabled',
      ] as const),
    )
    .action((url, options) =>
      runCommand(options, async () =>
        (await import('./conformance.ts')).runConformance(url, options),
      ),
    );
  reportWrongUsage(program);
  return program;
}

/** The manifest has the same relative path in the source, in `dist` and in an image. */
function versionOfPackage(): string {
  const path = join(import.meta.dirname, '../../package.json');
  const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return String(Reflect.get(Object(manifest), 'version'));
}

const USER = 'their id or email';
const PASSWORD_STDIN = 'read the password from standard input; else it is asked for';

function addUsers(users: Command): void {
  withJson(users.command('list'))
    .description('list users by ascending id')
    .option('--after <id>', 'only those with a greater id', wholeNumber())
    .option('--limit <count>', 'at most so many, up to 10000', wholeNumber({ min: 1, max: 10_000 }))
    .action((options) =>
      runCommand(options, async () => (await import('./users.ts')).listUsers(options)),
    );

  withJson(users.command('show'))
    .description('show a user')
    .argument('<user>', USER)
    .action((user, options) =>
      runCommand(options, async () => (await import('./users.ts')).showUser(user)),
    );

  withJson(users.command('create'))
    .description('create a user')
    .argument('<email>')
    .argument('<username>')
    .addOption(new Option('--role <role>', 'user unless given').choices(ROLES))
    .option('--password-stdin', PASSWORD_STDIN)
    .action((email, username, options) =>
      runCommand(options, async () =>
        (await import('./users.ts')).createUser(email, username, options),
      ),
    );

  withJson(users.command('disable'))
    .description('shut a user out, and end their sessions')
    .argument('<user>', USER)
    .action((user, options) =>
      runCommand(options, async () => (await import('./users.ts')).disableUser(user)),
    );

  withJson(users.command('enable'))
    .description('let a disabled user in again')
    .argument('<user>', USER)
    .action((user, options) =>
      runCommand(options, async () => (await import('./users.ts')).enableUser(user)),
    );

  withJson(users.command('delete'))
    .description('erase a user and their sessions')
    .argument('<user>', USER)
    .option('--yes', 'do not ask')
    .action((user, options) =>
      runCommand(options, async () => (await import('./users.ts')).deleteUser(user, options)),
    );

  withJson(users.command('set-password'))
    .description('give a user another password, and end their sessions')
    .argument('<user>', USER)
    .option('--password-stdin', PASSWORD_STDIN)
    .action((user, options) =>
      runCommand(options, async () => (await import('./users.ts')).setPassword(user, options)),
    );

  withJson(users.command('set-role'))
    .description('give a user a role')
    .argument('<user>', USER)
    .argument('<role>', ROLES.join(' or '), oneOf(ROLES))
    .action((user, role, options) =>
      runCommand(options, async () => (await import('./users.ts')).setRole(user, role)),
    );

  withJson(users.command('import'))
    .description('bring in the users of a file; the same again goes on where it was')
    .argument('<file>', 'CSV with a line of names first, or JSON Lines; -: standard input')
    .addOption(new Option('--format <format>', 'else what it looks like').choices(FORMATS))
    .option('--again', 'forget that this file has been imported, or begun')
    .addHelpText(
      'after',
      `
Fields: username, email and password_hash; if you like role, disabled, date_created. Hashes of bcrypt, scrypt,
PBKDF2 and argon2 are taken over, and replaced when their users next sign in. A line that is refused is
reported with its number, and the exit code is 1; the others are imported all the same.`,
    )
    .action((file, options) =>
      runCommand(options, async () =>
        (await import('./import-users.ts')).importUsers(file, options),
      ),
    );

  withJson(users.command('export'))
    .description('write all users to a file')
    .argument(
      '<file>',
      'made with mode 0600, never overwritten; -: standard output, without --json',
    )
    .addOption(
      new Option('--format <format>', 'its kind').choices(FORMATS).default('jsonl' as const),
    )
    .option(
      '--with-password-hashes',
      'so that it can be imported; keep it as you keep the database',
    )
    .action((file, options) =>
      runCommand(options, async () => {
        if (file === '-' && options.json) {
          throw new Refused(
            '- and --json both want standard output: the users are lines of JSON as it is',
            2,
          );
        }
        const { exportUsers } = await import('./export-users.ts');
        const { readDatabase } = await import('./harness.ts');
        return exportUsers(readDatabase(process.env), file, options);
      }),
    );
}

function addKeys(keys: Command): void {
  withJson(keys.command('generate'))
    .description('make a key')
    .argument('<file>', 'made with mode 0600, never overwritten')
    .addOption(new Option('--type <type>', 'its kind').choices(KEY_TYPES).default('es256' as const))
    .action((file, options) =>
      runCommand(options, async () => (await import('./keys.ts')).generateKey(file, options.type)),
    );

  withJson(keys.command('rotate'))
    .description('say the next of three steps to a new key, after which nobody is signed out')
    .argument('<file>', 'of the new key; made if it is not there')
    .addOption(
      new Option('--type <type>', 'its kind, if it is made')
        .choices(['es256', 'rs256'] as const)
        .default('es256' as const),
    )
    .action((file, options) =>
      runCommand(options, async () =>
        (await import('./keys.ts')).rotateKey(file, options.type, process.env),
      ),
    );
}

function withJson(command: Command) {
  return command.option('--json', 'print JSON');
}

function wholeNumber(bounds?: { readonly min: number; readonly max: number }) {
  return (text: string): number => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    const { min, max } = bounds ?? { min: 0, max: Infinity };
    if (number >= min && number <= max) return number;
    const range = bounds ? ` from ${min} to ${max}` : '';
    throw new InvalidArgumentError(`It is no whole number${range}.`);
  };
}

function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((each) => each === text);
    if (choice === undefined)
      throw new InvalidArgumentError(`It is none of ${choices.join(', ')}.`);
    return choice;
  };
}

/** Shows the help after wrong usage, and gives it one exit code. */
function reportWrongUsage(command: CommandUnknownOpts): void {
  command.exitOverride().showHelpAfterError().helpCommand(false);
  for (const each of command.commands) reportWrongUsage(each);
}
