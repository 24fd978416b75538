/**
 * The state of one device as a table (STYLE 5). The table is the format's documentation, gives the TypeScript type,
 * and writes and reads the bytes:
 *
 *     export const uartSection = section('uart', { version: 2, oldest: 1 }, {
 *       ier: u8,
 *       received: bytesUpTo(16), // oldest first
 *       timeout: since(2, bool, false),
 *     });
 *     export type UartState = StateOf<typeof uartSection>;
 *
 *     const bytes = encode(uartSection, uart.save());
 *     const uart = Uart.restore(parts, decode(uartSection, bytes));
 *
 * An encoded section is: u8 length of the name, the name in ASCII, u16 version, u32 length of the fields, the fields
 * (see kinds.ts). It carries no checksum: the container that stores it (the checkpoint file) has one over each
 * section, and one layer of checksums is enough. So everything here is read as hostile: each length is checked
 * against what is left and against the table's bound, and bytes that belong to no field are refused.
 *
 * A section is written in its newest version and read from `oldest` on. New fields go in with `since`; a field is
 * never removed or reordered without raising `oldest`. What a table cannot say (one field bounding another) the
 * device's `restore` checks, with `refuseState`.
 */
import { AfterimageError } from '../base/errors.ts';
import { StateSink, StateSource } from './bytes.ts';
import { type Fields, type Kind, struct, type ValuesOf } from './kinds.ts';

export interface SectionVersions {
  /** The version written, 1 to 65535. */
  readonly version: number;
  /** The oldest version that can still be read. */
  readonly oldest: number;
}

export interface Section<S> extends SectionVersions {
  readonly name: string;
  readonly fields: Kind<S>;
}

export type StateOf<T> = T extends Section<infer S> ? S : never;

/** A device whose state can be taken. `save` copies into plain data and changes nothing. */
export interface Saves<S> {
  save(): S;
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

export function section<F extends Fields>(name: string, versions: SectionVersions, fields: F): Section<ValuesOf<F>> {
  const { version, oldest } = versions;
  const ordered = Number.isInteger(version) && Number.isInteger(oldest) && oldest >= 1 && oldest <= version;
  if (!NAME.test(name) || !ordered || version > 0xffff) {
    throw new AfterimageError('internal', 'Section table has a bad name or version', {
      section: name,
      version,
      oldest,
    });
  }
  return { name, version, oldest, fields: struct(fields) };
}

/** @throws AfterimageError `internal` when the value does not fit its table. */
export function encode<S>(table: Section<S>, value: S): Uint8Array {
  const sink = new StateSink(table.name);
  sink.u8(table.name.length);
  for (let i = 0; i < table.name.length; i += 1) sink.u8(table.name.charCodeAt(i));
  sink.u16(table.version);
  const lengthAt = sink.length;
  sink.u32(0);
  table.fields.put(sink, value);
  sink.patchU32(lengthAt, sink.length - lengthAt - 4);
  return sink.finish();
}

/**
 * @throws AfterimageError `corrupt` with `section`, `field` and `offset` when the bytes break the table, and
 * `unsupported` with `found`, `oldest` and `newest` when they are of a version that this table does not read.
 */
export function decode<S>(table: Section<S>, bytes: Uint8Array): S {
  const source = new StateSource(table.name, bytes);
  const nameLength = source.u8();
  const name = String.fromCharCode(...source.bytes(nameLength));
  if (name !== table.name) source.refuse(`is named ${JSON.stringify(name)}`);
  source.version = source.u16();
  if (source.version < table.oldest || source.version > table.version) {
    throw new AfterimageError('unsupported', `State of ${table.name} has a version that cannot be read`, {
      section: table.name,
      found: source.version,
      oldest: table.oldest,
      newest: table.version,
    });
  }
  const length = source.u32();
  if (length !== source.remaining) source.refuse(`claims ${length} bytes where ${source.remaining} are left`);
  const value = table.fields.get(source);
  source.end();
  return value;
}

/** For `restore`: a state that its table accepts and the device cannot be in. */
export function refuseState(table: { readonly name: string }, field: string, what: string): never {
  throw new AfterimageError('corrupt', `State of ${table.name} is damaged: ${field} ${what}`, {
    section: table.name,
    field,
  });
}
