// The boot header of RISC-V Linux kernels (Documentation/arch/riscv/boot-image-header.rst), little-endian:
//
// | offset | size | field |
// |---|---|---|
// | 0x00 | 8 | two instructions; `MZ` when the image is an EFI program too |
// | 0x08 | 8 | text offset: distance from the start of RAM |
// | 0x10 | 8 | image size in memory, zeroed data included |
// | 0x18 | 8 | flags: bit 0 is set for big-endian kernels |
// | 0x20 | 4 | header version: major in the upper half |
// | 0x38 | 4 | magic `RSC\x05` |
// | 0x3c | 4 | offset of the PE header in EFI programs |

import { fits, startsWith, u16, u32, u53, u64 } from '../bytes.ts';
import type { Window } from '../device-tree.ts';
import { PE_MACHINE_RISCV64, peMachineName } from './architectures.ts';
import { findPeHeader, IMAGE_MAGIC_AT, RISCV_IMAGE_MAGIC } from './identify.ts';
import { type GuestFile, hex, type LoadPlan, MIB, refuse, refuseAsTooLarge } from './plan.ts';

const HEADER_SIZE = 0x40;
const BIG_ENDIAN_FLAG = 1n;
const KNOWN_MAJOR_VERSION = 0;
/** 32-bit kernels are linked 4 MiB into RAM, 64-bit ones 2 MiB, those for M-mode at its start. */
const TEXT_OFFSET_32_BIT = 4 * MIB;
const TEXT_OFFSET_MACHINE_MODE = 0;
/** Linux maps itself with pages of this size. */
const TEXT_ALIGNMENT = 2 * MIB;

const AGAIN = 'copy or download it again';

/**
 * Places a RISC-V Linux `Image`, EFI stub or plain, where its header wants to be: 2 MiB into RAM.
 *
 * @throws AfterimageError `corrupt`, `unsupported` or `too-large`, one line for a person.
 */
export function loadLinuxImage(file: GuestFile, memory: Window): LoadPlan {
  const { bytes } = file;
  if (!startsWith(bytes, IMAGE_MAGIC_AT, RISCV_IMAGE_MAGIC)) {
    refuse(file, 'kernel', 'unsupported', {
      reason: 'it has no RISC-V Linux header',
      advice: "give a riscv64 kernel's Image",
    });
  }
  if (!fits(bytes, 0, HEADER_SIZE))
    refuse(file, 'kernel', 'corrupt', { reason: 'it ends in its header', advice: AGAIN });
  checkVariant(file);
  checkSections(file);

  const textOffset = u53(bytes, 0x08);
  const at = memory.at + checkTextOffset(file, textOffset);
  // Kernels before 4.20 left the size out; their file is all there is to go by.
  const imageSize = Math.max(u53(bytes, 0x10), bytes.length);
  // More than any machine's RAM: the header is damaged, more memory would not help.
  if (imageSize >= 2 ** 36) {
    refuse(file, 'kernel', 'corrupt', { reason: `its header claims ${hex(u64(bytes, 0x10))} bytes`, advice: AGAIN });
  }
  if (at + imageSize > memory.at + memory.size) refuseAsTooLarge(file, 'kernel', memory, at + imageSize);
  return { segments: [{ at, bytes, zeroAfter: imageSize - bytes.length }], entry: at };
}

function checkVariant(file: GuestFile): void {
  const { bytes } = file;
  if ((u64(bytes, 0x18) & BIG_ENDIAN_FLAG) !== 0n) {
    refuse(file, 'kernel', 'unsupported', { reason: 'it is a big-endian kernel', advice: 'use a little-endian one' });
  }
  const major = u32(bytes, 0x20) >>> 16;
  if (major !== KNOWN_MAJOR_VERSION) {
    refuse(file, 'kernel', 'unsupported', {
      reason: `its header has version ${major}.${u16(bytes, 0x20)}, and version 0 is what is known`,
      advice: 'use another kernel',
      context: { version: major },
    });
  }
}

/** An EFI stub lists its sections, which tells whether the file is whole; a plain image does not say. */
function checkSections(file: GuestFile): void {
  const { bytes } = file;
  const at = findPeHeader(bytes);
  if (at === undefined) {
    if (startsWith(bytes, 0, 'MZ'))
      refuse(file, 'kernel', 'corrupt', { reason: 'its EFI header is damaged', advice: AGAIN });
    return;
  }
  const machine = u16(bytes, at + 4);
  if (machine !== PE_MACHINE_RISCV64) {
    refuse(file, 'kernel', 'unsupported', {
      reason: `it is a kernel for ${peMachineName(machine)}, not 64-bit RISC-V`,
      advice: 'use one built for riscv64',
      context: { machine },
    });
  }
  // COFF header: section count at 2, size of the optional header at 16; sections of 40 bytes follow that header.
  const sections = u16(bytes, at + 6);
  const table = at + 24 + u16(bytes, at + 20);
  if (!fits(bytes, table, sections * 40)) {
    refuse(file, 'kernel', 'corrupt', { reason: 'it ends in its section table', advice: AGAIN });
  }
  for (let index = 0; index < sections; index += 1) {
    const section = table + index * 40;
    const end = u32(bytes, section + 20) + u32(bytes, section + 16);
    if (end > bytes.length) {
      refuse(file, 'kernel', 'corrupt', {
        reason: `it is cut short: it should have at least ${end} bytes and has ${bytes.length}`,
        advice: AGAIN,
        context: { expected: end, size: bytes.length },
      });
    }
  }
}

function checkTextOffset(file: GuestFile, offset: number): number {
  const is = (reason: string, advice: string): never =>
    refuse(file, 'kernel', 'unsupported', { reason, advice, context: { textOffset: offset } });
  if (offset === TEXT_OFFSET_MACHINE_MODE) is('it is a kernel for M-mode', 'use one for S-mode, as distributions do');
  if (offset === TEXT_OFFSET_32_BIT) is('it is a 32-bit kernel', 'use one built for riscv64');
  if (offset % TEXT_ALIGNMENT !== 0 || offset > 2 ** 36) {
    is(`it asks for byte ${hex(u64(file.bytes, 0x08))} of RAM, which is no multiple of 2 MiB`, 'use another kernel');
  }
  return offset;
}
