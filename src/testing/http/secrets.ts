const SECRET_NAME = /token|password|secret/i;
/** A secret with its name before it, in JSON, a query or a header. */
const NAMED_SECRET = /((?:token|password|secret)\w*["']?\s*[:=]\s*["']?)[^"'&\s<>]+/gi;
/** Characters. */
const MAX_MESSAGE_LENGTH = 200;

/**
 * The tokens and passwords that no message may show: all that a run generated or received, whatever
 * they look like. The fixed values of the contract, such as the password `x`, are not secret.
 */
export class Secrets {
  /** Each secret in every encoding in which a message could contain it. */
  readonly #forms = new Set<string>();

  add(text: string): void {
    if (text === '' || this.#forms.has(text)) return;
    const escaped = JSON.stringify(text).slice(1, -1);
    this.#forms.add(text).add(escaped);
    this.#forms.add(JSON.stringify(escaped).slice(1, -1)); // JSON inside of JSON.
    this.#forms.add(encodeURIComponent(text.toWellFormed()));
  }

  /** Adds all strings in a JSON value, at any depth, whose name says token, password or secret. */
  addFrom(json: unknown): void {
    if (typeof json !== 'object' || json === null) return;
    for (const [name, member] of Object.entries(json)) {
      if (typeof member === 'string' && SECRET_NAME.test(name)) this.add(member);
      this.addFrom(member);
    }
  }

  /** The text without secrets, cut to `MAX_MESSAGE_LENGTH`. */
  redact(text: string): string {
    return this.#hide(text).slice(0, MAX_MESSAGE_LENGTH);
  }

  /** A value as JSON, redacted; `missing` for undefined. */
  redactValue(value: unknown): string {
    return this.redact(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'missing'));
  }

  #hide(text: string): string {
    let hidden = text;
    // The longest first: a secret can be a part of another one.
    for (const form of [...this.#forms].toSorted((one, other) => other.length - one.length)) {
      hidden = hidden.replaceAll(form, '…');
    }
    return hidden.replaceAll(/eyJ[\w.-]+/g, 'eyJ…').replaceAll(NAMED_SECRET, '$1…');
  }
}
