/**
 * All the sections of a machine by path, e.g. `machine/uart0`, `machine/hart0/csr`:
 *
 *     const writer = new StateTreeWriter();
 *     writer.put('machine/uart0', uartSection, uart.save());
 *     const bytes = writer.finish();
 *
 *     const reader = new StateTreeReader(bytes);
 *     const uart = reader.take('machine/uart0', uartSection);
 *     reader.finish(); // refuses what nobody took, unless it was written as optional
 *
 * Bytes: u16 version of the tree (1), u32 count, then per section u8 flags (bit 0: optional; others must be 0),
 * u8 length of the path, the path in ASCII, u32 length, the encoded section. No checksum (see section.ts).
 */
import { AfterimageError } from '../base/errors.ts';
import { StateSink, StateSource } from './bytes.ts';
import { decode, encode, type Section } from './section.ts';

const TREE_VERSION = 1;
const FLAG_OPTIONAL = 1;
const PATH = /^[a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)*$/;
const LONGEST_PATH = 255;
// A machine has tens of sections; the bound only stops a damaged count from costing time.
const MOST_SECTIONS = 4096;

export interface PutOptions {
  /** A reader that does not know the section may go on without it. */
  readonly optional?: boolean;
}

export class StateTreeWriter {
  readonly #entries = new Map<string, { optional: boolean; bytes: Uint8Array }>();

  /** @throws AfterimageError `internal` for a path that is malformed or taken, or a value that breaks its table. */
  put<S>(path: string, table: Section<S>, value: S, options: PutOptions = {}): void {
    if (!PATH.test(path) || path.length > LONGEST_PATH || this.#entries.has(path)) {
      throw new AfterimageError('internal', 'Section path is malformed or already used', { path });
    }
    if (this.#entries.size === MOST_SECTIONS) throw new AfterimageError('internal', 'Too many sections', { path });
    this.#entries.set(path, { optional: options.optional === true, bytes: encode(table, value) });
  }

  finish(): Uint8Array {
    const sink = new StateSink('tree');
    sink.u16(TREE_VERSION);
    sink.u32(this.#entries.size);
    for (const [path, { optional, bytes }] of this.#entries) {
      sink.u8(optional ? FLAG_OPTIONAL : 0);
      sink.u8(path.length);
      for (let i = 0; i < path.length; i += 1) sink.u8(path.charCodeAt(i));
      sink.u32(bytes.length);
      sink.bytes(bytes);
    }
    return sink.finish();
  }
}

export class StateTreeReader {
  readonly #entries = new Map<string, { optional: boolean; bytes: Uint8Array }>();
  readonly #taken = new Set<string>();

  /** @throws AfterimageError `corrupt`, or `unsupported` for a tree of a later version. */
  constructor(bytes: Uint8Array) {
    const source = new StateSource('tree', bytes);
    const version = source.u16();
    if (version !== TREE_VERSION) {
      throw new AfterimageError('unsupported', 'State tree has a version that cannot be read', {
        found: version,
        newest: TREE_VERSION,
      });
    }
    const count = source.u32();
    if (count > MOST_SECTIONS) source.refuse(`has ${count} sections, more than ${MOST_SECTIONS}`);
    for (let index = 0; index < count; index += 1) {
      source.path.enter(index);
      this.#readEntry(source);
      source.path.leave();
    }
    source.end();
  }

  /** Paths in the order they were written. */
  get paths(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** @throws AfterimageError `corrupt` when the section is missing or damaged, `unsupported` for its version. */
  take<S>(path: string, table: Section<S>): S {
    const value = this.takeIfPresent(path, table);
    if (value !== undefined) return value;
    throw new AfterimageError('corrupt', `State has no section ${path}`, { path, section: table.name });
  }

  takeIfPresent<S>(path: string, table: Section<S>): S | undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined) return undefined;
    const value = decode(table, entry.bytes);
    this.#taken.add(path);
    return value;
  }

  /** To be called before anything acts on the state: refuses sections that nobody knew and that are not optional. */
  finish(): void {
    for (const [path, { optional }] of this.#entries) {
      if (optional || this.#taken.has(path)) continue;
      throw new AfterimageError('unsupported', `State has a section that this machine does not know: ${path}`, {
        path,
      });
    }
  }

  #readEntry(source: StateSource): void {
    const flags = source.u8();
    if ((flags & ~FLAG_OPTIONAL) !== 0) source.refuse(`has flags ${flags} that are not known`);
    const path = String.fromCharCode(...source.bytes(source.u8()));
    if (!PATH.test(path)) source.refuse('has a malformed path');
    if (this.#entries.has(path)) source.refuse(`repeats the path ${path}`);
    const bytes = source.bytes(source.u32());
    this.#entries.set(path, { optional: (flags & FLAG_OPTIONAL) !== 0, bytes });
  }
}
