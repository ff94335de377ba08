import { conformance, type ConformanceOptions } from '../testing/index.ts';
import { Refused, type Report } from './terminal.ts';

/** Tests a server of any product against the documented contract. */
export async function runConformance(
  url: string,
  options: Pick<ConformanceOptions, 'usersAccess'> & { readonly everything?: true | undefined },
): Promise<Report> {
  const { usersAccess, everything } = options;
  const scope = everything ? 'everything' : 'document';
  const cases = casesFor(url, { scope, ...(usersAccess && { usersAccess }) });
  const faults: { readonly name: string; readonly why: string }[] = [];
  for (const { name, run } of cases) {
    try {
      await run();
    } catch (fault) {
      faults.push({ name, why: fault instanceof Error ? fault.message : String(fault) });
    }
  }
  const lines = faults.flatMap(({ why }) =>
    why.split('\n').map((line, i) => (i ? `  ${line}` : `✘ ${line}`)),
  );
  lines.push(`${cases.length - faults.length} of ${cases.length} cases hold`);
  return { lines, data: { cases: cases.length, faults }, failed: faults.length > 0 };
}

function casesFor(...given: Parameters<typeof conformance>): ReturnType<typeof conformance> {
  try {
    return conformance(...given);
  } catch (fault) {
    throw fault instanceof TypeError ? new Refused(fault.message, 2) : fault; // It is no URL.
  }
}
