import { AfterimageError } from '../../base/errors.ts';
import {
  FDT_LAST_COMPATIBLE_VERSION,
  FDT_MAGIC,
  FDT_VERSION,
  HEADER_SIZE,
  type MemoryReservation,
  RESERVATION_SIZE,
  TOKEN_BEGIN_NODE,
  TOKEN_END,
  TOKEN_END_NODE,
  TOKEN_PROPERTY,
} from './format.ts';
import { type PropertyValue, type TreeNode, wideCells } from './tree.ts';

export interface FdtOptions {
  readonly reservations?: readonly MemoryReservation[];
  /** Hart id of the CPU that starts; 0 when left out. */
  readonly bootHart?: number;
}

/**
 * The tree as a flattened device tree. Nodes that a cell refers to get a `phandle` property, numbered from 1 in tree
 * order; nobody else has one.
 */
export function writeFdt(root: TreeNode, options: FdtOptions = {}): Uint8Array {
  const structure = new Blob();
  const strings = new StringsBlock();
  writeNode(root, { structure, strings, phandles: assignPhandles(root) });
  structure.u32(TOKEN_END);

  const reservations = new Blob();
  for (const { at, size } of options.reservations ?? []) reservations.u32(...wideCells(at), ...wideCells(size));
  for (let i = 0; i < RESERVATION_SIZE / 4; i += 1) reservations.u32(0);

  // The reservation block must be 8-byte aligned; the header's 40 bytes see to it. Structure and strings follow.
  const structureAt = HEADER_SIZE + reservations.length;
  const stringsAt = structureAt + structure.length;
  const file = new Blob();
  file.u32(
    FDT_MAGIC,
    stringsAt + strings.blob.length,
    structureAt,
    stringsAt,
    HEADER_SIZE,
    FDT_VERSION,
    FDT_LAST_COMPATIBLE_VERSION,
    options.bootHart ?? 0,
    strings.blob.length,
    structure.length,
  );
  for (const part of [reservations, structure, strings.blob]) file.append(part.bytes());
  return file.bytes();
}

interface Output {
  readonly structure: Blob;
  readonly strings: StringsBlock;
  readonly phandles: ReadonlyMap<TreeNode, number>;
}

function writeNode(node: TreeNode, output: Output): void {
  const { structure, strings, phandles } = output;
  structure.u32(TOKEN_BEGIN_NODE);
  structure.text(node.name);
  structure.align();
  const property = (name: string, bytes: Uint8Array): void => {
    structure.u32(TOKEN_PROPERTY, bytes.length, strings.offset(name));
    structure.append(bytes);
    structure.align();
  };
  for (const [name, value] of node.properties) property(name, encode(value, phandles));
  const phandle = phandles.get(node);
  if (phandle !== undefined) property('phandle', encode({ kind: 'cells', cells: [phandle] }, phandles));
  for (const child of node.children) writeNode(child, output);
  structure.u32(TOKEN_END_NODE);
}

function encode(value: PropertyValue, phandles: ReadonlyMap<TreeNode, number>): Uint8Array {
  if (value.kind === 'bytes') return value.bytes;
  const blob = new Blob();
  if (value.kind === 'texts') for (const text of value.texts) blob.text(text);
  else for (const cell of value.cells) blob.u32(typeof cell === 'number' ? cell : (phandles.get(cell) ?? 0));
  return blob.bytes();
}

/** Numbers the nodes that are referred to; a reference that leads out of the tree is a mistake of ours. */
function assignPhandles(root: TreeNode): ReadonlyMap<TreeNode, number> {
  const nodes: TreeNode[] = [];
  const wanted = new Set<TreeNode>();
  const visit = (node: TreeNode): void => {
    nodes.push(node);
    for (const value of node.properties.values()) {
      if (value.kind !== 'cells') continue;
      for (const cell of value.cells) if (typeof cell !== 'number') wanted.add(cell);
    }
    node.children.forEach(visit);
  };
  visit(root);
  const phandles = new Map<TreeNode, number>();
  for (const node of nodes) if (wanted.delete(node)) phandles.set(node, phandles.size + 1);
  for (const node of wanted) {
    throw new AfterimageError('internal', 'Device tree refers to a node that is not in it', { node: node.name });
  }
  return phandles;
}

/** The names of properties, each stored once. */
class StringsBlock {
  readonly blob = new Blob();
  readonly #offsets = new Map<string, number>();

  offset(name: string): number {
    let offset = this.#offsets.get(name);
    if (offset === undefined) {
      offset = this.blob.length;
      this.#offsets.set(name, offset);
      this.blob.text(name);
    }
    return offset;
  }
}

/** Big-endian bytes that grow. */
class Blob {
  // A machine's whole tree is a few KiB.
  #bytes = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u32(...values: readonly number[]): void {
    for (const value of values) {
      const at = this.#extend(4);
      new DataView(this.#bytes.buffer).setUint32(at, value);
    }
  }

  text(text: string): void {
    this.append(new TextEncoder().encode(`${text}\0`));
  }

  append(bytes: Uint8Array): void {
    const at = this.#extend(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Zeroes up to the next 4-byte boundary. */
  align(): void {
    this.#extend((4 - (this.#length % 4)) % 4);
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #extend(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(at + count, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length += count;
    return at;
  }
}
