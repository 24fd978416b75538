// Writes a cpio archive in the "newc" format, the one the kernel unpacks its first root file system from
// (kernel documentation: driver-api/early-userspace/buffer-format).
import { AfterimageError } from '../../engine/base/errors.ts';

export type CpioEntry =
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'character-device';
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const TYPE_BITS = { folder: 0o040000, file: 0o100000, link: 0o120000, 'character-device': 0o020000 } as const;

/** Everything belongs to root and carries no time, so the same contents give the same bytes. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const seen = new Set<string>();
  entries.forEach((entry, index) => {
    checkPath(entry.path, seen);
    parts.push(...record(entry, index + 1));
  });
  parts.push(...record({ kind: 'file', path: 'TRAILER!!!', mode: 0, data: new Uint8Array() }, 0, 0));
  return Buffer.concat(parts);
}

/**
 * The kernel creates entries in order and makes no parents, so a folder must come before what is in it. The folder `.`
 * is the root itself, which is there already and only gets its mode.
 */
function checkPath(path: string, seen: Set<string>): void {
  if (path === '.' && seen.size === 0) return;
  const parent = path.split('/').slice(0, -1).join('/');
  const isPlain = path.split('/').every(part => part !== '' && part !== '.' && part !== '..');
  if (!isPlain || seen.has(path) || (parent !== '' && !seen.has(parent))) {
    throw new AfterimageError('internal', `The archive cannot hold ${path}: bad, double or without its folder`, {
      path,
    });
  }
  seen.add(path);
}

function record(entry: CpioEntry, inode: number, type: number = TYPE_BITS[entry.kind]): Uint8Array[] {
  const data =
    entry.kind === 'file' ? entry.data : entry.kind === 'link' ? Buffer.from(entry.target) : new Uint8Array();
  const name = Buffer.from(`${entry.path}\0`);
  const device = entry.kind === 'character-device' ? entry : { major: 0, minor: 0 };
  const fields = [
    inode,
    type | (entry.kind === 'link' ? 0o777 : entry.mode),
    0, // user
    0, // group
    entry.kind === 'folder' ? 2 : 1, // links
    0, // time
    data.length,
    0, // device the archive was made from
    0,
    device.major,
    device.minor,
    name.length,
    0, // checksum, unused in newc
  ];
  const header = `070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`;
  const head = Buffer.concat([Buffer.from(header), name]);
  return [head, padding(head.length), data, padding(data.length)];
}

/** Header with name, and data, each end on a multiple of four bytes. */
function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
