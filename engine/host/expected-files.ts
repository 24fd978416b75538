// Is a file what it was given as? Its first bytes tell, before anything is made of it: a mistake in a dialog or on the
// command line is answered with what the file is instead. What it holds beyond is checked by whoever reads it.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { BootConfiguration, NewDisk, NewMachine } from '../api/machine.ts';
import { AfterimageError } from '../base/errors.ts';
import { HEADER_MAGIC, sameBytes } from '../checkpoint/format.ts';
import type { HostFile } from '../disk/disk.ts';
import { startsWith } from '../firmware/bytes.ts';
import { ELF_MACHINE_RISCV, elfMachineName } from '../firmware/loaders/architectures.ts';
import { type Format, identify } from '../firmware/loaders/identify.ts';
import { openReadonly } from './checkpoint-folder.ts';
import { hostError } from './host-errors.ts';
import { isOwnLayer } from './machine-folder.ts';

/** Enough for everything that is known by its beginning; a CD's mark is the farthest. */
const HEAD_BYTES = 36 * 1024;

/** What else people take for a disk, a checkpoint or a kernel. */
const OTHERS: readonly (readonly [at: number, magic: string, what: string, use: Use])[] = [
  [0, 'KDMV', 'a VMDK disk image', 'convert'],
  [0, '# Disk DescriptorFile', 'a VMDK disk image', 'convert'],
  [0x40, '\x7f\x10\xda\xbe', 'a VDI disk image', 'convert'],
  [0, 'vhdxfile', 'a VHDX disk image', 'convert'],
  [0, 'conectix', 'a VHD disk image', 'convert'],
  [0, '7z\xbc\xaf\x27\x1c', 'a 7z archive', 'unpack'],
  [0x101, 'ustar', 'a tar archive', 'unpack'],
  [0, '%PDF-', 'a PDF document', 'none'],
];

/** For what has no other mark: these may be in any file. */
const DISKS: typeof OTHERS = [
  [0x200, 'EFI PART', 'a disk image with a GPT partition table', 'disk'],
  [0x1fe, '\x55\xaa', 'a disk image with a boot sector', 'disk'],
  [0x438, '\x53\xef', 'a disk image with an ext file system', 'disk'],
];

type Use = 'checkpoint' | 'disk' | 'kernel' | 'unpack' | 'convert' | 'none';

/** What to do with what a file is. */
const ADVICE: Readonly<Record<Use, string>> = {
  checkpoint: 'import it',
  disk: 'give it to a new machine as a disk',
  kernel: 'give it to a new machine as its kernel',
  unpack: 'unpack it first',
  convert: 'convert it to qcow2 first, with qemu-img convert -O qcow2',
  none: '',
};

interface Known {
  readonly what: string;
  readonly use: Use;
}

/** Errors: `unsupported` with what it is instead; `missing`, `denied` and others of the host. */
export async function refuseOtherThanCheckpoint(file: string): Promise<void> {
  const head = await headOf(file);
  if (isCheckpoint(head)) return;
  const known = knownAs(head);
  const reason = known === undefined ? 'it does not begin like one' : `it is ${known.what}`;
  throw refusal(file, `It is not a checkpoint file: ${reason}`, known);
}

/** The files of a new machine. Errors as above. */
export async function refuseOtherFiles({ boot, disks }: Pick<NewMachine, 'boot' | 'disks'>): Promise<void> {
  await refuseOtherBoot(boot);
  // All of them, before the first is copied.
  for (const disk of disks) await refuseOtherDisk(disk);
}

/** What a machine is to boot. */
export async function refuseOtherBoot(boot: BootConfiguration): Promise<void> {
  if (boot.kind !== 'files') return;
  const { kernel, firmware, elf, initrd } = boot;
  // Firmware starts any machine code.
  if (kernel !== undefined) await refuseUnless(kernel, 'a kernel for RISC-V', isProgram(firmware !== undefined));
  if (firmware !== undefined) {
    await refuseUnless(firmware, 'firmware for RISC-V', ({ kind }) => kind === 'elf' || kind === 'raw');
  }
  if (elf !== undefined) await refuseUnless(elf, 'an ELF file for RISC-V', ({ kind }) => kind === 'elf');
  if (initrd !== undefined) {
    await refuseUnless(initrd, 'an initial RAM disk', format => !isProgram(false)(format) || isPacked(format));
  }
}

/** A disk that is to be copied into a machine. */
export async function refuseOtherDisk(disk: NewDisk): Promise<void> {
  if (disk.kind === 'new') return;
  // A machine's own disk holds what its guest has written, which may look like anything.
  if (isOwnLayer(disk.path.split(path.sep).slice(-2).join('/'))) return;
  // A block device may be what is meant, and is opened as one.
  if (!(await stat(disk.path).catch(thrown => Promise.reject(hostError(thrown, disk.path, 'find')))).isFile()) return;
  const head = await headOf(disk.path);
  const isQcow2 = startsWith(head, 0, 'QFI\xfb');
  if (disk.format === 'qcow2') {
    if (isQcow2) return;
    const known = knownAs(head);
    const reason = known === undefined ? 'it does not begin like one' : `it is ${known.what}`;
    throw refusal(disk.path, `It is not a qcow2 image: ${reason}`, known?.use === 'disk' ? undefined : known);
  }
  if (isQcow2) throw refusal(disk.path, 'It is a qcow2 image, not a raw disk; say so with ,format=qcow2', undefined);
  if (head.length === 0) throw refusal(disk.path, 'It is empty, not a disk; give it a size, such as 8G', undefined);
  const known = isCheckpoint(head) ? CHECKPOINT : knownAs(head);
  // Anything else may be what the guest is to read.
  if (known === undefined || !['checkpoint', 'convert', 'unpack'].includes(known.use)) return;
  if (known.what === 'a tar archive') return;
  throw refusal(disk.path, `It is ${known.what}, not a raw disk`, known);
}

const CHECKPOINT: Known = { what: 'a checkpoint', use: 'checkpoint' };

function isProgram(anyCode: boolean): (format: Format) => boolean {
  return ({ kind }) => kind === 'linux-image' || kind === 'elf' || isPacked({ kind }) || (anyCode && kind === 'raw');
}

/** What is in it is looked at when it is unpacked. */
function isPacked({ kind }: Pick<Format, 'kind'>): boolean {
  return kind === 'compressed' || kind === 'zboot';
}

async function refuseUnless(file: string, wanted: string, isWanted: (format: Format) => boolean): Promise<void> {
  const head = await headOf(file);
  const format = identify(head);
  const processor = format.kind === 'elf' ? elfProcessor(head) : undefined;
  if (processor !== undefined)
    throw refusal(file, `It is not ${wanted}: it is an ELF file for ${processor}`, undefined);
  if (isWanted(format) && !isCheckpoint(head)) return;
  const known = isCheckpoint(head) ? CHECKPOINT : knownAs(head);
  const reason = known === undefined ? 'it does not begin like one' : `it is ${known.what}`;
  throw refusal(file, `It is not ${wanted}: ${reason}`, known?.use === 'kernel' ? undefined : known);
}

/** What an ELF file is for, if not 64-bit RISC-V. */
function elfProcessor(head: Uint8Array): string | undefined {
  const machine = (head[18] ?? 0) | ((head[19] ?? 0) << 8);
  if (machine !== ELF_MACHINE_RISCV) return elfMachineName(machine);
  return head[4] === 2 ? undefined : '32-bit RISC-V';
}

function knownAs(head: Uint8Array): Known | undefined {
  for (const [at, magic, what, use] of OTHERS) if (startsWith(head, at, magic)) return { what, use };
  const format = identify(head);
  switch (format.kind) {
    case 'linux-image':
    case 'zboot':
      return { what: 'a Linux kernel for RISC-V', use: 'kernel' };
    case 'elf':
      return { what: `a program (ELF) for ${elfProcessor(head) ?? 'RISC-V'}`, use: 'none' };
    case 'compressed':
      return { what: `compressed with ${format.compression}`, use: 'unpack' };
    case 'other':
      return { what: format.what, use: useOf(format.what) };
    case 'raw':
      for (const [at, magic, what, use] of DISKS) if (startsWith(head, at, magic)) return { what, use };
      return undefined;
  }
}

function useOf(what: string): Use {
  if (/disk image|CD image/.test(what)) return 'disk';
  return /archive \(ar|zip archive/.test(what) ? 'unpack' : 'none';
}

function isCheckpoint(head: Uint8Array): boolean {
  return sameBytes(head.subarray(0, HEADER_MAGIC.length), HEADER_MAGIC);
}

function refusal(file: string, what: string, known: Known | undefined): AfterimageError {
  const advice = known === undefined ? '' : ADVICE[known.use];
  return new AfterimageError('unsupported', advice === '' ? what : `${what}; ${advice}`, { path: file });
}

async function headOf(file: string): Promise<Uint8Array> {
  const opened: HostFile = await openReadonly(file);
  try {
    const head = new Uint8Array(Math.min(HEAD_BYTES, await opened.size()));
    await opened.read(0, [head]);
    return head;
  } finally {
    await opened.close();
  }
}
