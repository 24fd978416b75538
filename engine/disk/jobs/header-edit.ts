// Changes of a qcow2 header in a file that no disk is open on. A header's first sector is written in one step, after
// everything that it will name is durable: a power cut leaves the old header or the new one.
import { AfterimageError } from '../../base/errors.ts';
import type { HostFile } from '../disk.ts';
import { viewOf, writeU64 } from '../qcow2/bytes.ts';
import { encodeHeader, extensionsEnd } from '../qcow2/create.ts';
import { EXTENSION_BACKING_FORMAT, type Header, readHeader } from '../qcow2/header.ts';

const SECTOR = 512;
const BACKING_AT = 8;
const SIZE_AT = 24;
const L1_ENTRIES_AT = 36;
/** Left between extensions and name, so that an extension can be added later. */
const SPARE = 64;

export interface BackingReference {
  readonly name: string;
  readonly format: string;
}

/** Names another backing file, or none, and makes that durable. Errors: `too-large` when the name does not fit. */
export async function setBacking(file: HostFile, backing: BackingReference | undefined): Promise<void> {
  const header = await readHeader(file);
  const old = new Uint8Array(header.clusterSize);
  await file.read(0, [old]);
  const next = place(header, backing, file.name);
  const bytes = encodeHeader(next);
  // Fields that are not known here stay as they are.
  bytes.set(old.subarray(0, header.headerLength));
  const name = new TextEncoder().encode(backing?.name ?? '');
  writeU64(viewOf(bytes), BACKING_AT, next.backingNameOffset);
  viewOf(bytes).setUint32(BACKING_AT + 8, name.length);
  if (bytes.length > SECTOR) {
    const end = Math.min(extensionsEnd(next), bytes.length);
    const moved = bytes.subarray(SECTOR, end).some((byte, index) => byte !== old[SECTOR + index]);
    if (moved)
      throw new AfterimageError('unsupported', 'The header is too large to be changed safely', { file: file.name });
    await file.write(SECTOR, [bytes.subarray(SECTOR)]);
    await file.flush();
  }
  try {
    await file.write(0, [bytes.subarray(0, SECTOR)]);
    await file.flush();
  } catch (thrown) {
    // What it was is true in any case; what reached the file is not known.
    await file.write(0, [old.subarray(0, SECTOR)]).catch(() => undefined);
    throw thrown;
  }
}

/** The header with its new backing file, the name where it overwrites nothing that the old header still needs. */
function place(header: Header, backing: BackingReference | undefined, file: string): Header {
  const others = header.extensions.filter(({ type }) => type !== EXTENSION_BACKING_FORMAT);
  if (backing === undefined) {
    const next: Header = { ...header, extensions: others, backing: undefined, backingNameOffset: 0 };
    // Without a backing file its format means nothing and may stay.
    return extensionsEnd(header) > SECTOR ? { ...next, extensions: header.extensions } : next;
  }
  const format = { type: EXTENSION_BACKING_FORMAT, bytes: new TextEncoder().encode(backing.format) };
  const at = header.extensions.findIndex(({ type }) => type === EXTENSION_BACKING_FORMAT);
  const extensions = at < 0 ? [format, ...others] : header.extensions.with(at, format);
  const next: Header = { ...header, extensions, backing, backingNameOffset: 0 };
  const length = new TextEncoder().encode(backing.name).length;
  const oldStart = header.backingNameOffset;
  const oldEnd = oldStart + new TextEncoder().encode(header.backing?.name ?? '').length;
  const end = extensionsEnd(next);
  const fits = (offset: number) => {
    if (offset < end || offset + length > header.clusterSize) return false;
    const apart = oldStart === 0 || offset + length <= oldStart || oldEnd <= offset;
    return apart || Math.max(offset + length, oldEnd) <= SECTOR;
  };
  const offset = [end + SPARE, end, oldEnd].find(fits);
  if (offset === undefined) {
    throw new AfterimageError('too-large', 'The name of the backing file does not fit into the header', {
      file,
      backing: backing.name,
    });
  }
  return { ...next, backingNameOffset: offset };
}

/** Sets the virtual size. */
export async function setSize(file: HostFile, size: number): Promise<void> {
  const field = new Uint8Array(8);
  writeU64(viewOf(field), 0, size);
  await file.write(SIZE_AT, [field]);
  await file.flush();
}

/** Points the header to another L1 table. */
export async function setL1(file: HostFile, offset: number, entries: number): Promise<void> {
  const fields = new Uint8Array(12);
  viewOf(fields).setUint32(0, entries);
  writeU64(viewOf(fields), 4, offset);
  await file.write(L1_ENTRIES_AT, [fields]);
  await file.flush();
}
