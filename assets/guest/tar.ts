// Reads a tar stream as dpkg-deb writes it: POSIX ustar with GNU's long names (ustar(5), tar(5)).
import { AfterimageError } from '../../engine/base/errors.ts';

const BLOCK = 512;

/** No package file comes near this; a size beyond it means that the stream is not what it claims. */
const MAX_ENTRY = 256 * 1024 * 1024;

export interface TarEntry {
  /** Without a leading `./` or `/`. */
  readonly path: string;
  readonly kind: 'file' | 'link' | 'hard-link';
  /** Where a link points, as written. */
  readonly target: string;
  readonly data: Uint8Array;
}

interface Header {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly target: string;
}

/** Takes pieces of a tar stream of any length and hands over the files and links that `wanted` asks for. */
export class TarReader {
  readonly #wanted: (path: string) => boolean;
  readonly #onEntry: (entry: TarEntry) => void;
  #pending: Uint8Array[] = [];
  #available = 0;
  #header: Header | undefined;
  #longName: string | undefined;
  #longTarget: string | undefined;
  #ended = false;

  constructor(wanted: (path: string) => boolean, onEntry: (entry: TarEntry) => void) {
    this.#wanted = wanted;
    this.#onEntry = onEntry;
  }

  write(chunk: Uint8Array): void {
    if (this.#ended) return; // only padding follows the end mark
    this.#pending.push(chunk);
    this.#available += chunk.length;
    while (!this.#ended && this.#step()) {}
  }

  /** To be called after the last piece: a stream that stops inside an entry was cut off. */
  end(): void {
    if (!this.#ended) throw new AfterimageError('corrupt', 'The package ends in the middle of a file');
  }

  /** Handles one header or one body; false when more bytes are needed. */
  #step(): boolean {
    if (this.#header === undefined) {
      if (this.#available < BLOCK) return false;
      this.#begin(this.#take(BLOCK));
      return true;
    }
    const { size } = this.#header;
    const padded = Math.ceil(size / BLOCK) * BLOCK;
    if (this.#available < padded) return false;
    const header = this.#header;
    this.#header = undefined;
    this.#finish(header, this.#take(padded).subarray(0, size));
    return true;
  }

  #begin(block: Uint8Array): void {
    if (block.every(byte => byte === 0)) {
      this.#ended = true;
      return;
    }
    const header = parseHeader(block);
    if (header.size > MAX_ENTRY) throw new AfterimageError('corrupt', 'The package holds a file of impossible size');
    this.#header = header;
  }

  #finish(header: Header, body: Uint8Array): void {
    if (header.type === 'L') this.#longName = text(body);
    else if (header.type === 'K') this.#longTarget = text(body);
    else {
      const path = (this.#longName ?? header.name).replace(/^\.?\/+/, '');
      const target = this.#longTarget ?? header.target;
      this.#longName = undefined;
      this.#longTarget = undefined;
      const kind = KINDS.get(header.type);
      if (kind !== undefined && this.#wanted(path)) this.#onEntry({ path, kind, target, data: new Uint8Array(body) });
    }
  }

  #take(length: number): Uint8Array {
    const first = this.#pending[0];
    this.#available -= length;
    if (first !== undefined && first.length >= length) {
      this.#pending[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    const all = Buffer.concat(this.#pending);
    this.#pending = [all.subarray(length)];
    return all.subarray(0, length);
  }
}

const KINDS = new Map<string, TarEntry['kind']>([
  ['0', 'file'],
  ['\0', 'file'],
  ['1', 'hard-link'],
  ['2', 'link'],
]);

function parseHeader(block: Uint8Array): Header {
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (sum !== octal(block.subarray(148, 156))) throw new AfterimageError('corrupt', 'The package has a damaged header');
  const prefix = text(block.subarray(257, 262)) === 'ustar' ? text(block.subarray(345, 500)) : '';
  const name = text(block.subarray(0, 100));
  const isGnu = block[263] === 0x20; // GNU's magic is `ustar  `; it keeps times, not a prefix, at 345
  return {
    name: prefix !== '' && !isGnu ? `${prefix}/${name}` : name,
    type: String.fromCharCode(block[156]!),
    size: octal(block.subarray(124, 136)),
    target: text(block.subarray(157, 257)),
  };
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

function octal(bytes: Uint8Array): number {
  const digits = text(bytes).trim();
  if (!/^[0-7]+$/.test(digits)) throw new AfterimageError('corrupt', 'The package has a damaged header');
  return Number.parseInt(digits, 8);
}
