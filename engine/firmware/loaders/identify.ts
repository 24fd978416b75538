import { fits, startsWith, u16, u32 } from '../bytes.ts';
import { PE_MACHINE_RISCV64, peMachineName } from './architectures.ts';

export type Compression = 'gzip' | 'zstd' | 'xz' | 'lzma' | 'bzip2' | 'lz4' | 'lzop';

/** What a file is by its first bytes. Only these are looked at: nothing is said about the rest. */
export type Format =
  | { readonly kind: 'linux-image' }
  | { readonly kind: 'elf' }
  | { readonly kind: 'compressed'; readonly compression: Compression }
  | { readonly kind: 'zboot' }
  /** Known, and nothing that a machine can start. `what` goes after "it is". */
  | { readonly kind: 'other'; readonly what: string; readonly advice: string }
  /** Nothing known: perhaps machine code. */
  | { readonly kind: 'raw' };

/** Where a RISC-V or 64-bit ARM Linux image has its own magic. */
export const IMAGE_MAGIC_AT = 0x38;
export const RISCV_IMAGE_MAGIC = 'RSC\x05';
const ARM64_IMAGE_MAGIC = 'ARM\x64';
/** Where a file that begins as a DOS program says where its PE header is. */
const PE_POINTER_AT = 0x3c;

const COMPRESSIONS: readonly (readonly [magic: string, Compression])[] = [
  ['\x1f\x8b\x08', 'gzip'],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  ['\xfd7zXZ\0', 'xz'],
  ['\x5d\0\0', 'lzma'],
  ['BZh', 'bzip2'],
  ['\x02\x21\x4c\x18', 'lz4'],
  ['\x04\x22\x4d\x18', 'lz4'],
  ['\x89LZO\0', 'lzop'],
];

const USE_RISCV = 'use one built for 64-bit RISC-V (riscv64)';
const AS_DISK = 'attach it with --disk and give a kernel beside it';

const OTHERS: readonly (readonly [at: number, magic: string, what: string, advice: string])[] = [
  [IMAGE_MAGIC_AT, ARM64_IMAGE_MAGIC, 'a Linux kernel for 64-bit ARM, not RISC-V', USE_RISCV],
  [0x202, 'HdrS', 'a Linux kernel for x86 (bzImage), not RISC-V', USE_RISCV],
  [0x24, '\x18\x28\x6f\x01', 'a Linux kernel for 32-bit ARM (zImage), not RISC-V', USE_RISCV],
  [0, '\x27\x05\x19\x56', 'a U-Boot image (uImage)', 'give the Image inside it'],
  [0, '\xd0\x0d\xfe\xed', 'a device tree or FIT image', 'give the Image itself; the device tree is made for you'],
  [0, '070701', 'an initial RAM disk (cpio archive)', 'pass it with --initrd'],
  [0, '070702', 'an initial RAM disk (cpio archive)', 'pass it with --initrd'],
  [0, 'QFI\xfb', 'a qcow2 disk image', AS_DISK],
  [0x8001, 'CD001', 'a CD image (ISO 9660)', AS_DISK],
  [0x200, 'EFI PART', 'a disk image with a GPT partition table', AS_DISK],
  [0, '!<arch>\n', 'an archive (ar; Debian packages are such)', 'unpack it and give the kernel inside'],
  [0, 'PK\x03\x04', 'a zip archive', 'unpack it first'],
  [0, '#!', 'a script', 'give a file with machine code'],
];

export function identify(bytes: Uint8Array): Format {
  if (bytes.length === 0) return { kind: 'other', what: 'empty', advice: 'check how it was made or copied' };
  if (startsWith(bytes, 0, '\x7fELF')) return { kind: 'elf' };
  for (const [magic, compression] of COMPRESSIONS) {
    if (startsWith(bytes, 0, magic)) return { kind: 'compressed', compression };
  }
  const peMachine = findPeMachine(bytes);
  if (startsWith(bytes, IMAGE_MAGIC_AT, RISCV_IMAGE_MAGIC)) return { kind: 'linux-image' };
  if (startsWith(bytes, 0, 'MZ') && startsWith(bytes, 4, 'zimg') && peMachine === PE_MACHINE_RISCV64) {
    return { kind: 'zboot' };
  }
  for (const [at, magic, what, advice] of OTHERS) {
    if (startsWith(bytes, at, magic)) return { kind: 'other', what, advice };
  }
  if (peMachine !== undefined) return otherPe(peMachine);
  return isText(bytes) ? { kind: 'other', what: 'text', advice: 'give a file with machine code' } : { kind: 'raw' };
}

/** The offset of the PE header, when the file has one. */
export function findPeHeader(bytes: Uint8Array): number | undefined {
  if (!startsWith(bytes, 0, 'MZ') || !fits(bytes, PE_POINTER_AT, 4)) return undefined;
  const at = u32(bytes, PE_POINTER_AT);
  // The signature is followed by the 20 bytes of the COFF header.
  return startsWith(bytes, at, 'PE\0\0') && fits(bytes, at, 24) ? at : undefined;
}

/** The processor that a PE file is for. */
export function findPeMachine(bytes: Uint8Array): number | undefined {
  const at = findPeHeader(bytes);
  return at === undefined ? undefined : u16(bytes, at + 4);
}

function otherPe(machine: number): Format {
  if (machine === PE_MACHINE_RISCV64) {
    return { kind: 'other', what: 'an EFI program, not a kernel', advice: 'start it from firmware, or give a kernel' };
  }
  return { kind: 'other', what: `an EFI program for ${peMachineName(machine)}, not RISC-V`, advice: USE_RISCV };
}

/** Whether the first bytes are all printable ASCII: machine code of this length never is. */
function isText(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 64).every(byte => (byte >= 0x20 && byte < 0x7f) || (byte >= 9 && byte <= 13));
}
