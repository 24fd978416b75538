import { AfterimageError } from '../../base/errors.ts';
import {
  FDT_MAGIC,
  FDT_VERSION,
  HEADER_SIZE,
  type MemoryReservation,
  RESERVATION_SIZE,
  TOKEN_BEGIN_NODE,
  TOKEN_END,
  TOKEN_END_NODE,
  TOKEN_NOP,
  TOKEN_PROPERTY,
} from './format.ts';

export interface FdtNode {
  readonly name: string;
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly children: readonly FdtNode[];
}

export interface Fdt {
  readonly root: FdtNode;
  readonly reservations: readonly MemoryReservation[];
  readonly bootHart: number;
}

// Real trees are five or six deep; the bound keeps a hostile one from exhausting the stack of whoever walks it.
const DEEPEST = 64;

/** @throws AfterimageError `corrupt` or `unsupported`; the bytes may come from anywhere. */
export function readFdt(bytes: Uint8Array): Fdt {
  if (bytes.length < HEADER_SIZE || word(bytes, 0) !== FDT_MAGIC) refuse('it does not begin with the magic', 0);
  const totalSize = word(bytes, 4);
  if (totalSize < HEADER_SIZE || totalSize > bytes.length) {
    refuse(`it claims ${totalSize} bytes where there are ${bytes.length}`, 4);
  }
  const file = bytes.subarray(0, totalSize);
  // `last compatible` 17 or lower means that a reader of version 17 understands it.
  if (word(file, 20) < 16 || word(file, 24) > FDT_VERSION) {
    throw new AfterimageError('unsupported', `Flattened device tree has version ${word(file, 20)}`, {
      version: word(file, 20),
    });
  }
  const structure = block(file, 8, word(file, 36));
  const strings = block(file, 12, word(file, 32));
  return {
    root: new StructureReader(structure, strings).read(),
    reservations: readReservations(file, word(file, 16)),
    bootHart: word(file, 28),
  };
}

/** The node at an absolute path such as `/soc/serial@10000000`. */
export function findNode(root: FdtNode, path: string): FdtNode | undefined {
  let node: FdtNode | undefined = root;
  for (const name of path.split('/').filter(step => step !== '')) {
    node = node?.children.find(child => child.name === name);
  }
  return node;
}

/** A property's value as 32-bit cells; bytes after the last whole cell are left out. */
export function cellsOf(value: Uint8Array): number[] {
  return Array.from({ length: value.length >> 2 }, (_, index) => word(value, index * 4));
}

/** A property's value as texts, without the zero bytes that close them. */
export function textsOf(value: Uint8Array): string[] {
  const texts = new TextDecoder().decode(value).split('\0');
  if (texts.at(-1) === '') texts.pop();
  return texts;
}

class StructureReader {
  readonly #structure: Uint8Array;
  readonly #strings: Uint8Array;
  #at = 0;

  constructor(structure: Uint8Array, strings: Uint8Array) {
    this.#structure = structure;
    this.#strings = strings;
  }

  read(): FdtNode {
    if (this.#token() !== TOKEN_BEGIN_NODE) this.#refuse('it has no root node');
    const root = this.#node(1);
    if (root.name !== '') this.#refuse('its root node has a name');
    if (this.#token() !== TOKEN_END) this.#refuse('something follows the root node');
    return root;
  }

  /** The rest of a node whose begin token has been read. */
  #node(depth: number): FdtNode {
    if (depth > DEEPEST) this.#refuse(`its nodes are more than ${DEEPEST} deep`);
    const name = this.#name(this.#structure, this.#at);
    this.#skip(name.length + 1);
    const properties = new Map<string, Uint8Array>();
    const children: FdtNode[] = [];
    for (;;) {
      const token = this.#token();
      if (token === TOKEN_END_NODE) return { name, properties, children };
      if (token === TOKEN_BEGIN_NODE) children.push(this.#node(depth + 1));
      else if (token === TOKEN_PROPERTY) this.#property(properties);
      else this.#refuse(`there is no token ${token}`);
    }
  }

  #property(properties: Map<string, Uint8Array>): void {
    const length = this.#word();
    const name = this.#name(this.#strings, this.#word());
    if (length > this.#structure.length - this.#at) this.#refuse(`property ${name} is longer than what is left`);
    if (properties.has(name)) this.#refuse(`property ${name} is there twice`);
    properties.set(name, this.#structure.slice(this.#at, this.#at + length));
    this.#skip(length);
  }

  #token(): number {
    for (;;) {
      const token = this.#word();
      if (token !== TOKEN_NOP) return token;
    }
  }

  #word(): number {
    if (this.#structure.length - this.#at < 4) this.#refuse('it ends in the middle');
    this.#at += 4;
    return word(this.#structure, this.#at - 4);
  }

  #name(from: Uint8Array, at: number): string {
    const end = at < from.length ? from.indexOf(0, at) : -1;
    // Names are at most 63 bytes (a node's 31, an @ and 31).
    if (end < 0 || end - at > 63) this.#refuse('a name does not end');
    return String.fromCharCode(...from.subarray(at, end));
  }

  #skip(length: number): void {
    this.#at += Math.ceil(length / 4) * 4;
  }

  #refuse(what: string): never {
    return refuse(what, this.#at);
  }
}

function readReservations(file: Uint8Array, from: number): MemoryReservation[] {
  const reservations: MemoryReservation[] = [];
  for (let offset = from; offset + RESERVATION_SIZE <= file.length; offset += RESERVATION_SIZE) {
    const at = word(file, offset) * 2 ** 32 + word(file, offset + 4);
    const size = word(file, offset + 8) * 2 ** 32 + word(file, offset + 12);
    if (at === 0 && size === 0) return reservations;
    reservations.push({ at, size });
  }
  return refuse('its memory reservations do not end', from);
}

function block(file: Uint8Array, offsetField: number, size: number): Uint8Array {
  const offset = word(file, offsetField);
  if (offset + size > file.length) refuse('a block lies outside it', offsetField);
  return file.subarray(offset, offset + size);
}

function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0);
}

function refuse(what: string, offset: number): never {
  throw new AfterimageError('corrupt', `Flattened device tree is damaged: ${what}`, { offset });
}
