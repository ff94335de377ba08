/** A result of `portcullis doctor`. The text of one that is not `ok` says what to do. */
export interface Finding {
  readonly grade: 'ok' | 'note' | 'UNSAFE';
  readonly text: string;
}

export const ok = (text: string): Finding => ({ grade: 'ok', text });
export const note = (text: string): Finding => ({ grade: 'note', text });
export const unsafe = (text: string): Finding => ({ grade: 'UNSAFE', text });
