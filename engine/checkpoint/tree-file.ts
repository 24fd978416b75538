// `tree.json`: which checkpoints a machine has, and what a person calls them. A plain file that a person can read; what
// it says about the files themselves is in the files. Everything in it is checked.
import { AfterimageError } from '../base/errors.ts';
import { LONGEST_NAME, LONGEST_NOTE } from './about.ts';
import type { Folder } from './folder.ts';
import { damaged, type Hex, isIdentity } from './format.ts';

export const TREE_FILE = 'tree.json';
const TREE_VERSION = 1;
// Ten thousand checkpoints with notes stay far below.
const MOST_TREE_BYTES = 64 * 2 ** 20;

export interface TreeRecord {
  readonly id: Hex;
  /** Name of the store that has its file. */
  readonly store: string;
  /** The checkpoint that it was taken after; its file may build on another one. */
  readonly parent?: Hex;
  readonly name: string;
  readonly note: string;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  readonly origin: 'manual' | 'automatic';
  /** It is not deleted until this is taken back. */
  readonly protected: boolean;
  readonly pauseMicroseconds: number;
  /** Deleted, but others still take pages from its file. */
  readonly hidden: boolean;
}

export interface TreeState {
  readonly machine: Hex;
  /** Where the machine's present state comes from. */
  readonly current?: Hex;
  readonly nodes: ReadonlyMap<Hex, TreeRecord>;
}

export function encodeTree(state: TreeState): Uint8Array {
  const { machine, current, nodes } = state;
  const plain = { format: 'afterimage tree', version: TREE_VERSION, machine, current, nodes: [...nodes.values()] };
  return new TextEncoder().encode(`${JSON.stringify(plain, undefined, 1)}\n`);
}

/** @throws AfterimageError `corrupt` or, for a later version, `unsupported` */
export function decodeTree(bytes: Uint8Array, file: string): TreeState {
  const refuse = (what: string, more = {}): never => {
    throw damaged(`its tree ${what}`, { file, section: TREE_FILE }, more);
  };
  let plain: unknown;
  try {
    plain = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    refuse('is not JSON');
  }
  if (!isObject(plain) || plain.format !== 'afterimage tree') return refuse('is something else');
  if (plain.version !== TREE_VERSION) {
    const found = typeof plain.version === 'number' ? plain.version : undefined;
    const context = { file, found, newest: TREE_VERSION };
    throw new AfterimageError('unsupported', 'The tree has a version that cannot be read', context);
  }
  const { machine, current } = plain;
  if (!isIdentity(machine)) return refuse('names no machine');
  if (!Array.isArray(plain.nodes)) return refuse('has no nodes');
  const nodes = new Map<Hex, TreeRecord>();
  for (const [index, node] of plain.nodes.entries()) {
    const record = recordOf(node) ?? refuse('has a malformed node', { index });
    if (nodes.has(record.id)) refuse('has a node twice', { id: record.id });
    nodes.set(record.id, record);
  }
  for (const { id, parent } of nodes.values()) {
    if (parent !== undefined && !nodes.has(parent)) refuse('has a node whose parent is missing', { id });
  }
  if (hasCircle(nodes)) refuse('is a circle');
  if (current === undefined) return { machine, nodes };
  if (!isIdentity(current) || !nodes.has(current)) return refuse('is at a node that it does not have');
  return { machine, current, nodes };
}

/** The tree in a folder; undefined when there is none. Errors: those of `decodeTree` and of the folder. */
export async function readTree(folder: Folder): Promise<TreeState | undefined> {
  const entry = (await folder.list()).find(one => one.name === TREE_FILE);
  if (entry === undefined) return undefined;
  const name = `${folder.name}/${TREE_FILE}`;
  if (entry.bytes > MOST_TREE_BYTES) throw damaged('its tree is too large', { file: name, section: TREE_FILE });
  const file = await folder.open(TREE_FILE);
  try {
    const bytes = new Uint8Array(entry.bytes);
    await file.read(0, [bytes]);
    return decodeTree(bytes, name);
  } finally {
    await file.close();
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A name such as `file`, or `raw:` and a path, which has up to 4096 bytes. */
const LONGEST_STORE = 4200;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown, most: number): value is string => typeof value === 'string' && value.length <= most;

function recordOf(value: unknown): TreeRecord | undefined {
  if (!isObject(value)) return undefined;
  const { id, store, parent, name, note, takenAt, origin, pauseMicroseconds, hidden } = value;
  const identities = isIdentity(id) && (parent === undefined || isIdentity(parent));
  const texts = isText(store, LONGEST_STORE) && isText(name, LONGEST_NAME) && isText(note, LONGEST_NOTE);
  if (!identities || !texts || !isCount(takenAt) || !isCount(pauseMicroseconds)) return undefined;
  if (origin !== 'manual' && origin !== 'automatic') return undefined;
  if (typeof hidden !== 'boolean' || typeof value.protected !== 'boolean') return undefined;
  const link = parent === undefined ? {} : { parent };
  return { id, store, ...link, name, note, takenAt, origin, protected: value.protected, pauseMicroseconds, hidden };
}

function hasCircle(nodes: ReadonlyMap<Hex, TreeRecord>): boolean {
  const ends = new Set<Hex>();
  for (const start of nodes.keys()) {
    const path = new Set<Hex>();
    for (let at: Hex | undefined = start; at !== undefined && !ends.has(at); at = nodes.get(at)?.parent) {
      if (path.has(at)) return true;
      path.add(at);
    }
    for (const id of path) ends.add(id);
  }
  return false;
}
