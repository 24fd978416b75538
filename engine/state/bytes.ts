import { AfterimageError } from '../base/errors.ts';

/** Which field of which section is being read or written: what an error names. */
class FieldPath {
  readonly section: string;
  readonly #steps: (string | number)[] = [];

  constructor(section: string) {
    this.section = section;
  }

  enter(step: string | number): void {
    this.#steps.push(step);
  }

  leave(): void {
    this.#steps.pop();
  }

  toString(): string {
    let text = '';
    for (const step of this.#steps) {
      if (typeof step === 'number') text += `[${step}]`;
      else text += text === '' ? step : `.${step}`;
    }
    return text;
  }
}

/** Little-endian bytes that grow as fields are written to them. */
export class StateSink {
  readonly path: FieldPath;
  // Most device states are smaller than this; larger ones double.
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  constructor(section: string) {
    this.path = new FieldPath(section);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#extend(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#extend(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#extend(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.#extend(8);
    this.#view.setBigUint64(at, value, true);
  }

  bytes(value: Uint8Array): void {
    const at = this.#extend(value.length);
    this.#bytes.set(value, at);
  }

  /** Overwrites a u32 written before, e.g. a length that is known only at the end. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** A value of ours that its own table forbids: a mistake in the program, not in a file. */
  refuse(what: string): never {
    throw new AfterimageError('internal', `State of ${this.path.section} cannot be encoded: ${this.path} ${what}`, {
      section: this.path.section,
      field: this.path.toString(),
    });
  }

  /** Room for `count` more bytes; may replace `#bytes` and `#view`. */
  #extend(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return at;
  }
}

/** Little-endian bytes from outside: every read is checked against the end. */
export class StateSource {
  readonly path: FieldPath;
  /** Version of the section as it was written, which decides what `since` fields exist. */
  version = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(section: string, bytes: Uint8Array) {
    this.path = new FieldPath(section);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** A copy, never a view of the source. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    const copy = new Uint8Array(count);
    copy.set(this.#bytes.subarray(at, at + count));
    return copy;
  }

  /** Refuses bytes after the last field. */
  end(): void {
    if (this.remaining > 0) this.refuse(`is followed by ${this.remaining} bytes that belong to no field`);
  }

  refuse(what: string): never {
    const field = this.path.toString();
    const subject = field === '' ? 'it' : field;
    throw new AfterimageError('corrupt', `State of ${this.path.section} is damaged: ${subject} ${what}`, {
      section: this.path.section,
      field,
      offset: this.#offset,
    });
  }

  #take(count: number): number {
    const at = this.#offset;
    if (count > this.#bytes.length - at) this.refuse(`needs ${count} bytes where ${this.remaining} are left`);
    this.#offset = at + count;
    return at;
  }
}
