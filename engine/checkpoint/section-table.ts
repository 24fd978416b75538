// The section table and the trailer: the end of a checkpoint file, and the first thing that is read after its header.
import { AfterimageError } from '../base/errors.ts';
import { checksum } from './checksum.ts';
import {
  allZero,
  damaged,
  fromHex,
  HEADER_BYTES,
  type Hex,
  IDENTITY_BYTES,
  MOST_SECTION_BYTES,
  MOST_SECTIONS,
  NAME_PATTERN,
  readName,
  readU64,
  SEAL_BYTES,
  sameBytes,
  TRAILER_BYTES,
  TRAILER_MAGIC,
  toHex,
  viewOf,
  writeName,
  writeU64,
} from './format.ts';

export const PAGES_SECTION = 'pages';
/** Sections that this version knows; any other must be optional. */
const KNOWN_SECTIONS: ReadonlySet<string> = new Set([
  PAGES_SECTION,
  'state',
  'about',
  'disks',
  'requests',
  'working-set',
  'screen',
]);

export interface SectionEntry {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly checksum: number;
  readonly optional: boolean;
}

export interface Trailer {
  readonly fileBytes: number;
  readonly tableOffset: number;
  readonly tableLength: number;
  readonly tableChecksum: number;
  readonly id: Hex;
  readonly seal: Hex;
}

const ENTRY_BYTES = 48;
const FLAG_OPTIONAL = 1;

export function encodeSectionTable(entries: readonly SectionEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = viewOf(bytes);
  for (const [index, entry] of entries.entries()) {
    const at = index * ENTRY_BYTES;
    writeName(bytes.subarray(at, at + 16), entry.name);
    writeU64(view, at + 16, entry.offset);
    writeU64(view, at + 24, entry.length);
    view.setUint32(at + 32, entry.checksum, true);
    view.setUint32(at + 36, entry.optional ? FLAG_OPTIONAL : 0, true);
  }
  return bytes;
}

/** @throws AfterimageError `corrupt`, or `unsupported` for a section that must be known and is not. */
export function decodeSectionTable(bytes: Uint8Array, trailer: Trailer, file: string): Map<string, SectionEntry> {
  const refuse = (what: string, within: number): never => {
    throw damaged(what, { file, section: 'section table', offset: trailer.tableOffset + within });
  };
  if (checksum(bytes) !== trailer.tableChecksum) refuse('the checksum of the section table is wrong', 0);
  const view = viewOf(bytes);
  const sections = new Map<string, SectionEntry>();
  for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
    const name = readName(bytes.subarray(at, at + 16), NAME_PATTERN) ?? refuse('a section has a bad name', at);
    const offset = readU64(view, at + 16);
    const length = readU64(view, at + 24);
    const flags = view.getUint32(at + 36, true);
    if (flags > FLAG_OPTIONAL || !allZero(bytes.subarray(at + 40, at + 48))) refuse('a section has bad flags', at + 36);
    if (sections.has(name)) refuse(`section ${name} is there twice`, at);
    if (offset < HEADER_BYTES || offset + length > trailer.tableOffset) refuse(`section ${name} lies outside`, at + 16);
    if (name !== PAGES_SECTION && length > MOST_SECTION_BYTES) refuse(`section ${name} is too large`, at + 24);
    const optional = flags === FLAG_OPTIONAL;
    if (!optional && !KNOWN_SECTIONS.has(name)) {
      const context = { file, section: name, offset };
      throw new AfterimageError('unsupported', `The checkpoint has a section that is not known here: ${name}`, context);
    }
    sections.set(name, { name, offset, length, checksum: view.getUint32(at + 32, true), optional });
  }
  if (!sections.has(PAGES_SECTION)) refuse('it has no page index', 0);
  return sections;
}

export function encodeTrailer(trailer: Trailer): Uint8Array {
  const bytes = new Uint8Array(TRAILER_BYTES);
  const view = viewOf(bytes);
  bytes.set(TRAILER_MAGIC, 0);
  writeU64(view, 8, trailer.fileBytes);
  writeU64(view, 16, trailer.tableOffset);
  view.setUint32(24, trailer.tableLength, true);
  view.setUint32(28, trailer.tableChecksum, true);
  bytes.set(fromHex(trailer.id, IDENTITY_BYTES), 32);
  bytes.set(fromHex(trailer.seal, SEAL_BYTES), 48);
  view.setUint32(60, checksum(bytes.subarray(0, 60)), true);
  return bytes;
}

/** @throws AfterimageError `corrupt` also for a file that was cut off. */
export function decodeTrailer(bytes: Uint8Array, id: Hex, fileBytes: number, file: string): Trailer {
  const start = fileBytes - TRAILER_BYTES;
  const refuse = (what: string, within: number): never => {
    throw damaged(what, { file, section: 'trailer', offset: start + within });
  };
  const view = viewOf(bytes);
  if (!sameBytes(bytes.subarray(0, 8), TRAILER_MAGIC)) refuse('it was cut off or never completed', 0);
  if (view.getUint32(60, true) !== checksum(bytes.subarray(0, 60))) refuse('the checksum of its trailer is wrong', 60);
  const trailer: Trailer = {
    fileBytes: readU64(view, 8),
    tableOffset: readU64(view, 16),
    tableLength: view.getUint32(24, true),
    tableChecksum: view.getUint32(28, true),
    id: toHex(bytes.subarray(32, 48)),
    seal: toHex(bytes.subarray(48, 56)),
  };
  if (trailer.fileBytes !== fileBytes) refuse(`it has ${fileBytes} bytes and says ${trailer.fileBytes}`, 8);
  if (trailer.id !== id) refuse('header and trailer are of different checkpoints', 32);
  if (view.getUint32(56, true) !== 0) refuse('unused bytes of its trailer are used', 56);
  const { tableOffset, tableLength } = trailer;
  const sized = tableLength > 0 && tableLength % ENTRY_BYTES === 0 && tableLength <= MOST_SECTIONS * ENTRY_BYTES;
  if (!sized || tableOffset < HEADER_BYTES || tableOffset + tableLength !== start) {
    refuse('its section table is not where it must be', 16);
  }
  return trailer;
}

/** What a child names its parent by, beside the identity; made once, when the checkpoint is taken. */
export function sealOf(table: Uint8Array, header: Uint8Array): Hex {
  const seed = checksum(header);
  const bytes = new Uint8Array(SEAL_BYTES);
  viewOf(bytes).setUint32(0, checksum(table, seed), true);
  viewOf(bytes).setUint32(4, checksum(table, ~seed), true);
  return toHex(bytes);
}
