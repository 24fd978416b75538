// From files to everything that a machine needs at its first instruction. There are three ways to start:
//
// - `linux`: the built-in SBI stands in for firmware and the kernel starts in S-mode;
// - `firmware`: machine-mode firmware starts from the reset vector and may start a kernel or boot loader itself;
// - `program`: a bare-metal ELF file starts in M-mode, with nothing below it.

import { AfterimageError } from '../../base/errors.ts';
import { describeMachine, type MachineDescription, type Window } from '../device-tree.ts';
import type { Decompressors } from '../loaders/decompress.ts';
import { loadElf } from '../loaders/elf.ts';
import { loadFirmware, loadInitrd, loadKernel, loadPayload } from '../loaders/files.ts';
import { findOverlap, type GuestFile, hex, type LoadPlan, type LoadSegment, segmentEnd } from '../loaders/plan.ts';
import { type CsrValues, supervisorHandover } from './handover.ts';
import { layOut } from './layout.ts';
import { BOOT_ROM_AT, FW_DYNAMIC_INFO_ADDRESS, resetVector } from './reset-vector.ts';

export type Software =
  | { readonly way: 'linux'; readonly kernel: GuestFile; readonly initrd?: GuestFile }
  | { readonly way: 'firmware'; readonly firmware: GuestFile; readonly kernel?: GuestFile; readonly initrd?: GuestFile }
  | { readonly way: 'program'; readonly program: GuestFile };

export interface BootRequest {
  readonly machine: MachineDescription;
  readonly software: Software;
  /** The kernel's command line. */
  readonly commandLine?: string;
  /** Fresh random bytes: 32 or more, and 8. */
  readonly rngSeed: Uint8Array;
  readonly kaslrSeed: Uint8Array;
  readonly decompressors?: Decompressors;
}

/** How the boot hart begins. Registers and CSRs that are not named are as after reset. */
export interface BootStart {
  readonly mode: 'machine' | 'supervisor';
  readonly pc: number;
  readonly a0: number;
  readonly a1: number;
  readonly a2: number;
  readonly csrs: CsrValues;
}

export interface BootPlan {
  /** Everything in RAM: software, initial RAM disk, device tree. Never overlapping. */
  readonly segments: readonly LoadSegment[];
  readonly rom: { readonly at: number; readonly bytes: Uint8Array };
  readonly start: BootStart;
  /** Whether S-mode calls are answered by the built-in SBI; otherwise they trap to M-mode. */
  readonly builtInSbi: boolean;
  readonly treeAt: number;
  readonly initrd?: Window;
  /** For programs: where HTIF and the signature are, as far as the program has them. */
  readonly symbols: ReadonlyMap<string, number>;
}

/** Symbols by which compliance suites talk to what runs them. */
export const PROGRAM_SYMBOLS = ['tohost', 'fromhost', 'begin_signature', 'end_signature'] as const;

/** RISC-V Linux cuts the command line off after this many bytes (COMMAND_LINE_SIZE less the closing zero). */
const LONGEST_COMMAND_LINE = 1023;
const BOOT_HART = 0;

/** @throws AfterimageError with one line for a person: what is wrong with which file, and what to do. */
export function bootPlan(request: BootRequest): BootPlan {
  const { machine, software } = request;
  checkCommandLine(request.commandLine);
  const { first, next } = load(request);
  const programs = next === undefined ? first.segments : [...first.segments, ...next.segments];
  checkOverlap(programs);

  const initrdFile = software.way === 'program' ? undefined : software.initrd;
  const initrdBytes = initrdFile === undefined ? undefined : loadInitrd(initrdFile);
  const tree = (initrd: Window | undefined): Uint8Array =>
    describeMachine(machine, {
      rngSeed: request.rngSeed,
      kaslrSeed: request.kaslrSeed,
      ...(request.commandLine === undefined ? {} : { commandLine: request.commandLine }),
      ...(initrd === undefined ? {} : { initrd }),
    });
  const initrdSize = initrdBytes?.length ?? 0;
  const { initrdAt, treeAt } = layOut({
    memory: machine.memory,
    softwareEnd: Math.max(...programs.map(segmentEnd)),
    initrdSize,
    // The tree's size does not depend on where things are.
    treeSize: tree(initrdBytes && { at: machine.memory.at, size: initrdSize }).length,
    fileNames: filesOf(software).map(file => file.name),
  });
  const initrd = initrdBytes && { at: initrdAt, size: initrdSize };
  const segments = [...programs, { at: treeAt, bytes: tree(initrd), zeroAfter: 0 }];
  if (initrdBytes !== undefined) segments.push({ at: initrdAt, bytes: initrdBytes, zeroAfter: 0 });

  return {
    segments,
    rom: { at: BOOT_ROM_AT, bytes: resetVector({ start: first.entry, treeAt, next: next?.entry ?? 0 }) },
    start: start(request, first.entry, treeAt),
    builtInSbi: software.way === 'linux',
    treeAt,
    ...(initrd === undefined ? {} : { initrd }),
    symbols: first.symbols ?? new Map(),
  };
}

/** What runs first, and what firmware is told to run after it. */
function load({ machine, software, decompressors = {} }: BootRequest): { first: LoadPlan; next?: LoadPlan } {
  const { memory } = machine;
  switch (software.way) {
    case 'linux':
      return { first: loadKernel(software.kernel, memory, decompressors) };
    case 'program':
      return { first: loadElf(software.program, 'program', memory, PROGRAM_SYMBOLS) };
    case 'firmware': {
      const first = loadFirmware(software.firmware, memory);
      if (software.kernel === undefined) return { first };
      return { first, next: loadPayload(software.kernel, memory, decompressors) };
    }
  }
}

function start(request: BootRequest, entry: number, treeAt: number): BootStart {
  const handover = { a0: BOOT_HART, a1: treeAt };
  switch (request.software.way) {
    case 'linux': {
      const csrs = supervisorHandover(request.machine.extensions);
      return { mode: 'supervisor', pc: entry, ...handover, a2: 0, csrs };
    }
    case 'program':
      // As if the reset vector had run, without its instructions in a trace.
      return { mode: 'machine', pc: entry, ...handover, a2: FW_DYNAMIC_INFO_ADDRESS, csrs: {} };
    case 'firmware':
      return { mode: 'machine', pc: BOOT_ROM_AT, a0: 0, a1: 0, a2: 0, csrs: {} };
  }
}

function filesOf(software: Software): readonly GuestFile[] {
  const files = software.way === 'program' ? [software.program] : [software.kernel, software.initrd];
  return (software.way === 'firmware' ? [software.firmware, ...files] : files).filter(file => file !== undefined);
}

function checkCommandLine(text = ''): void {
  const length = new TextEncoder().encode(text).length;
  if (text.includes('\0')) throw new AfterimageError('usage', 'The kernel command line has a zero byte in it');
  if (length > LONGEST_COMMAND_LINE) {
    throw new AfterimageError(
      'usage',
      `The kernel command line has ${length} bytes, and Linux reads ${LONGEST_COMMAND_LINE}; shorten it`,
      { length },
    );
  }
}

function checkOverlap(segments: readonly LoadSegment[]): void {
  const overlap = findOverlap(segments);
  if (overlap === undefined) return;
  const [low, high] = overlap;
  throw new AfterimageError(
    'unsupported',
    `Firmware and kernel overlap: ${hex(low.at)} to ${hex(segmentEnd(low))} and ${hex(high.at)} to ` +
      `${hex(segmentEnd(high))}; link one of them elsewhere`,
    { first: low.at, second: high.at },
  );
}
