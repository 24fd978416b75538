// Control messages as lines of JSON: how they travel over a machine's control socket. Bytes are `{"$bytes": base64}`.
import { AfterimageError } from '../../engine/base/errors.ts';

/** A memory picture of the largest machine, a page a byte, takes a megabyte; nothing regular comes near this. */
const LONGEST_LINE = 64 * 1024 * 1024;
const LINE_FEED = 0x0a;
const BYTES_KEY = '$bytes';

/** One message with its line feed. */
export function encodeLine(message: unknown): string {
  return `${JSON.stringify(message, (_, value: unknown) =>
    value instanceof Uint8Array ? { [BYTES_KEY]: toBase64(value) } : value,
  )}\n`;
}

/** Cuts a stream of bytes into messages. */
export class LineReader {
  #pieces: Uint8Array[] = [];
  #length = 0;

  /** The messages that these bytes complete. Errors: `corrupt` for what is no JSON, `too-large` for endless lines. */
  feed(bytes: Uint8Array): unknown[] {
    const messages: unknown[] = [];
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, from);
      if (end < 0) break;
      this.#keep(bytes.subarray(from, end));
      messages.push(decodeLine(Buffer.concat(this.#pieces).toString('utf8')));
      this.#pieces = [];
      this.#length = 0;
      from = end + 1;
    }
    this.#keep(bytes.subarray(from));
    return messages;
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#length += piece.length;
    if (this.#length > LONGEST_LINE) throw new AfterimageError('too-large', 'A message is longer than any should be');
    this.#pieces.push(piece);
  }
}

function decodeLine(line: string): unknown {
  try {
    return JSON.parse(line, (_, value: unknown) => asBytes(value) ?? value);
  } catch (cause) {
    throw new AfterimageError('corrupt', 'A message is not JSON', {}, { cause });
  }
}

function asBytes(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, BYTES_KEY)) return undefined;
  const text = (value as Readonly<Record<string, unknown>>)[BYTES_KEY];
  return typeof text === 'string' ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
