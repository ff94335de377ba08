const NAME = /token|password|secret/i;
const NAMED = /((?:token|password|secret)\w*["']?\s*[:=]\s*["']?)[^"'&\s<>]+/gi;
const MAX_SHOWN = 200;

/**
 * What no message may show: every token and password that a run has made up or been given, whatever it
 * looks like. What the contract itself writes down, such as the password `x`, is no secret.
 */
export class Secrets {
  /** In the forms that they can be said in. */
  readonly #forms = new Set<string>();

  add(text: string): void {
    if (text === '' || this.#forms.has(text)) return;
    const escaped = JSON.stringify(text).slice(1, -1);
    this.#forms.add(text).add(escaped);
    this.#forms.add(JSON.stringify(escaped).slice(1, -1)); // A body that is quoted in one.
    this.#forms.add(encodeURIComponent(text.toWellFormed()));
  }

  /** Adds what stands in an answer, however deep, under the name of a token or a password. */
  note(json: unknown): void {
    if (typeof json !== 'object' || json === null) return;
    for (const [name, member] of Object.entries(json)) {
      if (typeof member === 'string' && NAME.test(name)) this.add(member);
      this.note(member);
    }
  }

  /** A text without them, and short. */
  shown(text: string): string {
    return this.#hide(text).slice(0, MAX_SHOWN);
  }

  /** A value, as JSON, without them, and short. */
  shownValue(value: unknown): string {
    return this.shown(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'missing'));
  }

  #hide(text: string): string {
    let hidden = text;
    // The longest first: one may be a part of another.
    for (const form of [...this.#forms].toSorted((one, other) => other.length - one.length)) {
      hidden = hidden.replaceAll(form, '…');
    }
    return hidden.replaceAll(/eyJ[\w.-]+/g, 'eyJ…').replaceAll(NAMED, '$1…');
  }
}
