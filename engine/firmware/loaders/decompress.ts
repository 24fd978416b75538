import { fits, u32 } from '../bytes.ts';
import { type Compression, identify } from './identify.ts';
import { type FileRole, type GuestFile, MIB, printable, refuse } from './plan.ts';

/**
 * The host's decompressors. Each gives the whole content or throws, also when the content would be longer than
 * `limit` bytes. Those that are missing lead to an error that says how to decompress by hand.
 */
export type Decompressors = {
  readonly [name in Compression]?: (bytes: Uint8Array, limit: number) => Uint8Array;
};

const TOOLS: Readonly<Record<Compression, string>> = {
  gzip: 'gzip -dc',
  zstd: 'zstd -dc',
  xz: 'xz -dc',
  lzma: 'xz --format=lzma -dc',
  bzip2: 'bzip2 -dc',
  lz4: 'lz4 -dc',
  lzop: 'lzop -dc',
};

/** `zimg`, the header of a self-decompressing EFI kernel: payload offset and size after the magic at 4. */
const ZBOOT_OFFSET_AT = 8;
const ZBOOT_SIZE_AT = 12;

/**
 * The file, or its content when it is compressed or a self-decompressing EFI kernel (zboot). `limit` bounds the
 * content: what does not fit in the machine's memory is not worth having.
 */
export function unpack(file: GuestFile, role: FileRole, limit: number, decompressors: Decompressors): GuestFile {
  const format = identify(file.bytes);
  if (format.kind === 'compressed') return decompress(file, role, format.compression, limit, decompressors);
  if (format.kind !== 'zboot') return file;
  const at = u32(file.bytes, ZBOOT_OFFSET_AT);
  const size = u32(file.bytes, ZBOOT_SIZE_AT);
  if (!fits(file.bytes, at, size)) {
    refuse(file, role, 'corrupt', {
      reason: `its compressed kernel should end at byte ${at + size}, and the file ends at ${file.bytes.length}`,
      advice: 'copy or download it again',
    });
  }
  const payload = { name: file.name, bytes: file.bytes.subarray(at, at + size) };
  const inner = identify(payload.bytes);
  if (inner.kind !== 'compressed') {
    refuse(file, role, 'unsupported', {
      reason: 'it is a self-decompressing EFI kernel (zboot) whose compression is unknown',
      advice: 'give the uncompressed Image',
    });
  }
  return decompress(payload, role, inner.compression, limit, decompressors);
}

function decompress(
  file: GuestFile,
  role: FileRole,
  compression: Compression,
  limit: number,
  decompressors: Decompressors,
): GuestFile {
  const run = decompressors[compression];
  if (run === undefined) {
    refuse(file, role, 'unsupported', {
      reason: `it is compressed with ${compression}`,
      advice: `decompress it first: ${TOOLS[compression]} ${printable(file.name)} >Image`,
    });
  }
  try {
    const bytes = run(file.bytes, limit);
    if (bytes.length <= limit) return { name: file.name, bytes };
  } catch (cause) {
    refuse(file, role, 'corrupt', {
      reason: `its ${compression} data cannot be decompressed into the machine's ${Math.floor(limit / MIB)} MiB`,
      advice: 'give the machine more memory, or copy the file again',
      cause,
    });
  }
  return refuse(file, role, 'too-large', {
    reason: `it is larger than the machine's ${Math.floor(limit / MIB)} MiB when decompressed`,
    advice: 'give the machine more memory',
  });
}
