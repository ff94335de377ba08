/**
 * Describes a fault in one line, with its first stack frames. An error with a code comes from a
 * driver, and its text can hold values of the statement (an email, a hash), so only the code is
 * shown.
 */
export function describeFault(fault: unknown): string {
  return printable([nameFault(fault), ...framesOf(fault)].join(' '));
}

/** Describes a fault without its stack. */
export function nameFault(fault: unknown): string {
  if (fault instanceof AggregateError) {
    return printable(`${fault.message}: ${fault.errors.map(nameFault).join('; ')}`);
  }
  if (!(fault instanceof Error)) return typeof fault;
  const code = 'code' in fault && typeof fault.code === 'string' ? fault.code : '';
  const why = fault.cause instanceof Error ? `: ${nameFault(fault.cause)}` : '';
  return printable(`${fault.name} ${code || JSON.stringify(fault.message)}${why}`);
}

/** The first three frames. The message is skipped: it can hold lines that look like frames. */
function framesOf(fault: unknown): string[] {
  if (!(fault instanceof Error) || !fault.stack?.includes(fault.message)) return [];
  const { stack, message } = fault;
  const frames = stack.slice(stack.indexOf(message) + message.length).split('\n');
  return frames
    .filter((line) => line.startsWith('    at '))
    .slice(0, 3)
    .map((line) => line.trim());
}

const MAX_LENGTH = 2_000;

/**
 * Escapes line breaks, control characters and marks of direction, so that a text can neither begin
 * another line nor control the terminal that shows it.
 */
export function printable(text: string): string {
  return text
    .slice(0, MAX_LENGTH)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${codeOf(sign)}}`);
}

function codeOf(sign: string): string {
  return (sign.codePointAt(0) ?? 0).toString(16);
}
