// The control socket's wire: one message a line, as JSON, with bytes as `{"$bytes": base64}`. No effects.
import { fromBase64, toBase64 } from '../base/base64.ts';
import { AfterimageError } from '../base/errors.ts';

/** Longest line, in UTF-16 units: bytes of a call or an event are far below it, and nobody makes us keep more. */
export const LONGEST_LINE = 8 * 1024 * 1024;
const BYTES = '$bytes';

/** A message as a line, its end included. */
export function encodeLine(message: unknown): string {
  return `${JSON.stringify(message, replace)}\n`;
}

/** @throws AfterimageError `corrupt` for what is not such a line */
export function decodeLine(line: string): unknown {
  try {
    return JSON.parse(line, revive);
  } catch (cause) {
    if (cause instanceof AfterimageError) throw cause;
    throw new AfterimageError('corrupt', 'The line is not JSON', { length: line.length }, { cause });
  }
}

/** Takes text as it arrives apart into lines. */
export class LineReader {
  readonly #line: (line: string) => void;
  readonly #longest: number;
  #parts: string[] = [];
  #length = 0;

  constructor(line: (line: string) => void, longest = LONGEST_LINE) {
    this.#line = line;
    this.#longest = longest;
  }

  /** @throws AfterimageError `too-large` for a line that does not end */
  push(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.#keep(text.slice(from, at));
      from = at + 1;
      const line = this.#parts.join('');
      this.#parts = [];
      this.#length = 0;
      if (line !== '') this.#line(line);
    }
    this.#keep(text.slice(from));
  }

  #keep(text: string): void {
    if (text === '') return;
    this.#length += text.length;
    if (this.#length > this.#longest) throw new AfterimageError('too-large', 'The line does not end');
    this.#parts.push(text);
  }
}

function replace(this: unknown, key: string, value: unknown): unknown {
  // Some byte arrays turn themselves into something else before they are given to us.
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? { [BYTES]: toBase64(original) } : value;
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, BYTES)) return value;
  const text = (value as Record<string, unknown>)[BYTES];
  const bytes = typeof text === 'string' && Object.keys(value).length === 1 ? fromBase64(text) : undefined;
  if (bytes === undefined) throw new AfterimageError('corrupt', 'Bytes are not base64');
  return bytes;
}
