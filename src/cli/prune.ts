import { ClocksApart } from '../application/index.ts';
import { withParts } from './harness.ts';
import { Refused, type Report } from './terminal.ts';

/** Removes now what the service removes every hour. */
export function pruneSessions(): Promise<Report> {
  return withParts(async (part) => {
    const { sessions, attempts, auditRecords } = await part('pruneAll')
      .execute()
      .catch((fault: unknown) => {
        throw fault instanceof ClocksApart ? new Refused(fault.message) : fault;
      });
    const lines = [
      `Removed ${sessions} sessions and ${attempts} counts of attempts that had expired`,
      ...(part('auditLog') ? [`Removed ${auditRecords} audit records past AUDIT_RETENTION`] : []),
    ];
    const removed = sessions + attempts;
    return { lines, data: { removed, sessions, attempts, audit_records: auditRecords } };
  });
}
