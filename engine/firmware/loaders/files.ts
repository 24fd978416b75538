// From what a user calls a file to the loader of what it is.

import type { Window } from '../device-tree.ts';
import { type Decompressors, unpack } from './decompress.ts';
import { loadElf } from './elf.ts';
import { identify } from './identify.ts';
import { loadLinuxImage } from './linux-image.ts';
import {
  type FileRole,
  type GuestFile,
  KERNEL_OFFSET,
  type LoadPlan,
  printable,
  refuse,
  refuseAsTooLarge,
} from './plan.ts';

/** A kernel that the built-in SBI starts: a Linux `Image` or an ELF file for S-mode. */
export function loadKernel(file: GuestFile, memory: Window, decompressors: Decompressors): LoadPlan {
  return (
    loadStructured(file, 'kernel', memory, decompressors) ??
    refuse(file, 'kernel', 'unsupported', {
      reason: 'it is no RISC-V Linux kernel: it has neither the header of an Image nor that of an ELF file',
      advice: "give a riscv64 kernel's Image; a boot loader's binary needs --firmware beside it",
    })
  );
}

/** What machine-mode firmware starts next: as a kernel, or any machine code, put where firmware jumps to. */
export function loadPayload(file: GuestFile, memory: Window, decompressors: Decompressors): LoadPlan {
  return (
    loadStructured(file, 'kernel', memory, decompressors) ?? loadRaw(file, 'kernel', memory, memory.at + KERNEL_OFFSET)
  );
}

/** Machine-mode firmware: an ELF file, or machine code that is put at the start of RAM. */
export function loadFirmware(file: GuestFile, memory: Window): LoadPlan {
  const format = identify(file.bytes);
  switch (format.kind) {
    case 'elf':
      return loadElf(file, 'firmware', memory);
    case 'raw':
      return loadRaw(file, 'firmware', memory, memory.at);
    case 'linux-image':
    case 'zboot':
      return refuse(file, 'firmware', 'unsupported', {
        reason: 'it is a Linux kernel',
        advice: 'pass it with --kernel',
      });
    case 'compressed':
      return refuse(file, 'firmware', 'unsupported', {
        reason: `it is compressed with ${format.compression}`,
        advice: 'decompress it first',
      });
    case 'other':
      return refuseOther(file, 'firmware', format);
  }
}

/** Any bytes will do: which archives a kernel unpacks is its own affair. */
export function loadInitrd(file: GuestFile): Uint8Array {
  const format = identify(file.bytes);
  if (format.kind === 'linux-image' || format.kind === 'elf' || format.kind === 'zboot') {
    refuse(file, 'initrd', 'unsupported', { reason: 'it is a kernel or program', advice: 'pass it with --kernel' });
  }
  if (file.bytes.length === 0) {
    refuse(file, 'initrd', 'unsupported', { reason: 'it is empty', advice: 'leave --initrd out if there is none' });
  }
  return file.bytes;
}

/** Loads what has a header; undefined for machine code without one. */
function loadStructured(
  file: GuestFile,
  role: FileRole,
  memory: Window,
  decompressors: Decompressors,
): LoadPlan | undefined {
  const content = unpack(file, role, memory.size, decompressors);
  const format = identify(content.bytes);
  switch (format.kind) {
    case 'linux-image':
      return loadLinuxImage(content, memory);
    case 'elf':
      return loadElf(content, role, memory);
    case 'raw':
      return undefined;
    case 'compressed':
    case 'zboot':
      return refuse(file, role, 'unsupported', { reason: 'it is compressed twice', advice: 'decompress it first' });
    case 'other':
      return refuseOther(content, role, format);
  }
}

function refuseOther(file: GuestFile, role: FileRole, format: { what: string; advice: string }): never {
  return refuse(file, role, 'unsupported', { reason: `it is ${format.what}`, advice: format.advice });
}

function loadRaw(file: GuestFile, role: FileRole, memory: Window, at: number): LoadPlan {
  const { bytes } = file;
  // Sixteen zero bits are the instruction that is illegal by definition.
  if (bytes.length < 2 || (bytes[0] === 0 && bytes[1] === 0)) {
    refuse(file, role, 'unsupported', {
      reason: 'it does not begin with a RISC-V instruction',
      advice: `check that ${printable(file.name)} is machine code for riscv64`,
    });
  }
  if (at + bytes.length > memory.at + memory.size) refuseAsTooLarge(file, role, memory, at + bytes.length);
  return { segments: [{ at, bytes, zeroAfter: 0 }], entry: at };
}
