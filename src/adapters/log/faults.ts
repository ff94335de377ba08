/**
 * A fault in one line, with where it came from. The text of an error that has a code comes from a
 * driver and can hold values of the statement (an email, a hash), so only its code is shown.
 */
export function describeFault(fault: unknown): string {
  return printable([nameFault(fault), ...framesOf(fault)].join(' '));
}

/** A fault in a few words. */
export function nameFault(fault: unknown): string {
  if (fault instanceof AggregateError) {
    return printable(`${fault.message}: ${fault.errors.map(nameFault).join('; ')}`);
  }
  if (!(fault instanceof Error)) return typeof fault;
  const code = 'code' in fault && typeof fault.code === 'string' ? fault.code : '';
  const why = fault.cause instanceof Error ? `: ${nameFault(fault.cause)}` : '';
  return printable(`${fault.name} ${code || JSON.stringify(fault.message)}${why}`);
}

/** The first three. They come after the message, which can hold lines that look like some. */
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
 * The text as a part of one line: whoever wrote it can neither begin another line nor steer the
 * terminal that shows it, by line breaks, escapes, marks of direction and the like.
 */
export function printable(text: string): string {
  return text
    .slice(0, MAX_LENGTH)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${codeOf(sign)}}`);
}

function codeOf(sign: string): string {
  return (sign.codePointAt(0) ?? 0).toString(16);
}
