import type { Knex } from 'knex';
import type { DatabaseTarget, TargetsByKind } from '../connection/target.ts';
import type { About, Opened, RestoreSettings } from './backup-file.ts';

/** What an operator can have done with the databases of one SQL engine. */
export interface Engine<Kind extends DatabaseTarget['kind']> {
  /** In messages. */
  readonly name: string;
  /** The first bytes of its backups. */
  readonly backupBeginning: string;
  backUp(target: TargetsByKind[Kind], file: string, signal?: AbortSignal): Promise<About>;
  restore(target: TargetsByKind[Kind], file: string, settings: RestoreSettings): Promise<Opened>;
  inspect(knex: Knex): Promise<EngineFacts>;
}

/** What differs by engine in an inspection of a database. */
export interface EngineFacts {
  /** Whether the store itself lets each email in only once. */
  readonly hasUniqueEmail: boolean;
  /** Whether emails are compared by their bytes. */
  readonly comparesBytes: boolean;
  /** Whether what is committed survives a crash of the database. */
  readonly isDurable: boolean;
  /** The cipher of the connection; undefined if it is plain, or if there is no connection. */
  readonly cipher: string | undefined;
}
