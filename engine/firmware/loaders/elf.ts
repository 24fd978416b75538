// ELF64 executables (System V ABI, gABI 4.1; RISC-V ELF psABI). Only what a loader needs is read: the header, the
// program headers, and the symbol table when symbols are asked for.

import { fits, startsWith, u16, u32, u53, u64 } from '../bytes.ts';
import type { Window } from '../device-tree.ts';
import { ELF_MACHINE_RISCV, elfMachineName } from './architectures.ts';
import { findSymbols } from './elf-symbols.ts';
import {
  type FileRole,
  findOverlap,
  type GuestFile,
  hex,
  KERNEL_OFFSET,
  type LoadPlan,
  type LoadSegment,
  refuse,
  refuseAsTooLarge,
  segmentEnd,
} from './plan.ts';

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const TYPE_EXECUTABLE = 2;
const TYPE_SHARED = 3;
const TYPE_NAMES: Readonly<Record<number, string>> = { 1: 'an object file that is not linked yet', 4: 'a core dump' };
const SEGMENT_LOAD = 1;
/** `e_flags`: uses only 16 registers. */
const FLAG_RVE = 8;
/** Addresses from here on are the upper, kernel half of virtual memory. */
const UPPER_HALF = 1n << 63n;

const AGAIN = 'copy or build it again';

interface Segment {
  readonly physical: bigint;
  readonly virtual: bigint;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

/**
 * Places the segments of a 64-bit RISC-V ELF file at their physical addresses. A Linux `vmlinux`, whose physical
 * addresses count from 0, goes where its `Image` would. `symbols` are the names to look up.
 *
 * @throws AfterimageError `corrupt`, `unsupported` or `too-large`, one line for a person.
 */
export function loadElf(file: GuestFile, role: FileRole, memory: Window, symbols: readonly string[] = []): LoadPlan {
  checkHeader(file, role);
  const segments = readSegments(file, role);
  const entry = u64(file.bytes, 24);
  const shift = isLinux(segments, entry) ? BigInt(memory.at + KERNEL_OFFSET) : 0n;
  const loaded = segments.map(segment => place(file, role, memory, segment, shift));
  const overlap = findOverlap(loaded);
  if (overlap !== undefined) {
    refuse(file, role, 'corrupt', {
      reason: `its segments at ${hex(overlap[0].at)} and ${hex(overlap[1].at)} overlap`,
      advice: AGAIN,
    });
  }
  const toPhysical = (address: bigint): bigint => {
    const home = segments.find(
      segment => address >= segment.virtual && address < segment.virtual + BigInt(segment.memorySize),
    );
    return home === undefined ? address : address - home.virtual + home.physical + shift;
  };
  const start = Number(toPhysical(entry));
  if (start % 2 !== 0 || !loaded.some(segment => start >= segment.at && start < segmentEnd(segment))) {
    refuse(file, role, 'corrupt', {
      reason: `its entry point ${hex(entry)} is in none of its segments`,
      advice: AGAIN,
    });
  }
  if (symbols.length === 0) return { segments: loaded, entry: start };
  const found = new Map<string, number>();
  for (const [name, value] of findSymbols(file, role, symbols)) {
    const address = toPhysical(value);
    if (address <= Number.MAX_SAFE_INTEGER) found.set(name, Number(address));
  }
  return { segments: loaded, entry: start, symbols: found };
}

function checkHeader(file: GuestFile, role: FileRole): void {
  const { bytes } = file;
  if (!startsWith(bytes, 0, '\x7fELF')) {
    refuse(file, role, 'unsupported', { reason: 'it is not an ELF file', advice: 'give a 64-bit RISC-V ELF file' });
  }
  if (!fits(bytes, 0, HEADER_SIZE)) refuse(file, role, 'corrupt', { reason: 'it ends in its header', advice: AGAIN });
  const little = bytes[5] === LITTLE_ENDIAN;
  const machine = little ? u16(bytes, 18) : ((bytes[18] ?? 0) << 8) | (bytes[19] ?? 0);
  const is = (reason: string, advice: string): never =>
    refuse(file, role, 'unsupported', { reason, advice, context: { machine } });
  if (machine !== ELF_MACHINE_RISCV) {
    is(`it is an ELF file for ${elfMachineName(machine)}, not RISC-V`, 'use one built for riscv64');
  }
  if (bytes[4] !== CLASS_64) is('it is a 32-bit RISC-V ELF file', 'build it for 64 bits (riscv64)');
  if (!little) is('it is a big-endian ELF file', 'build it little-endian');
  if ((u32(bytes, 48) & FLAG_RVE) !== 0) is('it is built for RV64E, with 16 registers', 'build it for RV64GC');
  const type = u16(bytes, 16);
  if (type !== TYPE_EXECUTABLE && type !== TYPE_SHARED) {
    is(`it is ${TYPE_NAMES[type] ?? `an ELF file of unknown type ${type}`}`, 'give a linked executable');
  }
}

function readSegments(file: GuestFile, role: FileRole): readonly Segment[] {
  const { bytes } = file;
  const table = u53(bytes, 32);
  const count = u16(bytes, 56);
  const corrupt = (reason: string): never => refuse(file, role, 'corrupt', { reason, advice: AGAIN });
  if (count > 0 && u16(bytes, 54) !== PROGRAM_HEADER_SIZE) corrupt('its program headers have the wrong size');
  if (!fits(bytes, table, count * PROGRAM_HEADER_SIZE)) corrupt('its program headers lie outside it');
  const segments: Segment[] = [];
  for (let at = table; at < table + count * PROGRAM_HEADER_SIZE; at += PROGRAM_HEADER_SIZE) {
    if (u32(bytes, at) !== SEGMENT_LOAD) continue;
    const segment = {
      offset: u53(bytes, at + 8),
      virtual: u64(bytes, at + 16),
      physical: u64(bytes, at + 24),
      fileSize: u53(bytes, at + 32),
      memorySize: u53(bytes, at + 40),
    };
    if (segment.memorySize === 0) continue;
    const where = `its segment at ${hex(segment.physical)}`;
    if (segment.fileSize > segment.memorySize || !Number.isFinite(segment.memorySize)) {
      corrupt(`${where} has more bytes than it occupies`);
    }
    if (!fits(bytes, segment.offset, segment.fileSize)) {
      corrupt(`${where} should end at byte ${segment.offset + segment.fileSize}, and the file ends at ${bytes.length}`);
    }
    segments.push(segment);
  }
  if (segments.length === 0) {
    refuse(file, role, 'unsupported', { reason: 'it has nothing to load', advice: 'give a linked executable' });
  }
  return segments;
}

/** Linux links itself to the upper half and lets physical addresses count from 0. */
function isLinux(segments: readonly Segment[], entry: bigint): boolean {
  return entry >= UPPER_HALF && segments.some(segment => segment.physical === 0n);
}

function place(file: GuestFile, role: FileRole, memory: Window, segment: Segment, shift: bigint): LoadSegment {
  const physical = segment.physical + shift;
  const end = physical + BigInt(segment.memorySize);
  const range = `${hex(physical)} to ${hex(end)}`;
  // More than any machine's RAM: more memory would not help.
  if (physical < BigInt(memory.at) || end > BigInt(memory.at) + (1n << 36n)) {
    refuse(file, role, 'unsupported', {
      reason: `it is linked to ${range}, where the machine has no RAM`,
      advice: `link it to ${hex(memory.at)}`,
      context: { at: Number(physical) },
    });
  }
  if (end > BigInt(memory.at + memory.size)) refuseAsTooLarge(file, role, memory, Number(end));
  const bytes = file.bytes.subarray(segment.offset, segment.offset + segment.fileSize);
  return { at: Number(physical), bytes, zeroAfter: segment.memorySize - segment.fileSize };
}
