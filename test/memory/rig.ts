import { guestPhys } from '../../engine/base/addresses.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import { MachineMemory } from '../../engine/memory/machine-memory.ts';
import { MemoryManager } from '../../engine/memory/memory-manager.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine } from '../framework/bare-machine.ts';
import { PageTables, PTE, SV39 } from '../framework/page-tables.ts';
import { enterSupervisor } from './supervisor.ts';

export const PAGE = 4096;
const TABLES_AT = RAM_BASE + 0x100000;
const DATA_AT = RAM_BASE + 0x40000;
const DATA_PAGES = 64;
/** The data pages twice: what is written through one is read through the other. */
const DATA_VA = 0x40000000n;
const ALIAS_VA = 0x50000000n;

/**
 * Never ends. Each round stores, loads, adds atomically and reserves at random places of 64 pages, writes across two of
 * them, and every so often rewrites the first instruction of a page and calls it. s3 gathers all that was read.
 */
const PROGRAM = `
  li s1, 0
  li s2, 0x1234567
  li s3, 0
round:
  addi s1, s1, 1
  slli t0, s2, 13
  xor s2, s2, t0
  srli t0, s2, 7
  xor s2, s2, t0
  slli t0, s2, 17
  xor s2, s2, t0
  li t0, 0x3fff8
  and t1, s2, t0
  srli t2, s2, 20
  and t2, t2, t0
  srli t3, s2, 40
  and t3, t3, t0
  li s4, DATA
  li s5, ALIAS
  add t4, s4, t1
  sd s2, 0(t4)
  add t4, s5, t1
  lw t5, 4(t4)
  add s3, s3, t5
  add t4, s5, t2
  ld t5, 0(t4)
  add s3, s3, t5
  sh s1, 2(t4)
  add t4, s4, t3
  amoadd.d t5, s1, (t4)
  add s3, s3, t5
  andi t5, s1, 7
  bnez t5, round
  add t4, s5, t2
retry:
  lr.d t5, (t4)
  add t5, t5, s1
  sc.d t6, t5, (t4)
  bnez t6, retry
  # across the first two pages
  li t5, 0xffc
  add t4, s4, t5
  sd s2, 0(t4)
  # addi a5, a5, s1 & 0x3ff at the start of a page of code, and a return
  li t4, CODE
  slli t3, s1, 54
  srli t3, t3, 34
  li t5, 0x00078793
  or t3, t3, t5
  sw t3, 0(t4)
  li t5, 0x00008067
  sw t5, 4(t4)
  fence.i
  li t4, CODE_ALIAS
  jalr ra, 0(t4)
  j round
`;

export interface Rig {
  readonly machine: BareMachine;
  readonly memory: MachineMemory;
  readonly manager: MemoryManager;
}

export interface RigOptions {
  readonly translated?: boolean;
  readonly ramPages?: number;
  readonly reservePages?: number;
  readonly saveNow?: (page: number) => void;
  readonly pageIn?: (page: number) => void;
  /** Milliseconds; by default a clock that counts how often it is read, so that slices end at the same places in every run. */
  readonly now?: () => number;
  /** 0x10000 bytes at least are needed by the program. */
  readonly program?: string;
}

/** A bare machine with a memory manager, running a program that never ends. */
export function buildRig(module: WebAssembly.Module, options: RigOptions = {}): Rig {
  const { translated = false, ramPages = 512, reservePages = 512, saveNow } = options;
  let manager: MemoryManager | undefined;
  const machine = new BareMachine(module, ramPages * PAGE, {
    reserveBytes: reservePages * PAGE,
    cowFault: page => manager?.fault(page),
    ...(options.pageIn === undefined ? {} : { pageIn: options.pageIn }),
  });
  const { core } = machine;
  const { layout } = core;
  const assembler = new Assembler(RAM_BASE);
  if (translated) {
    const tables = new PageTables(machine.ram, TABLES_AT, SV39);
    for (let i = 0; i < DATA_PAGES + 1; i += 1) {
      for (const va of [DATA_VA, ALIAS_VA]) {
        tables.map(va + BigInt(i * PAGE), DATA_AT + i * PAGE, PTE.V | PTE.R | PTE.W | PTE.X);
      }
    }
    tables.map(BigInt(RAM_BASE), RAM_BASE, PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D, 1);
    assembler.text(enterSupervisor(tables.satp));
  }
  const data = translated ? DATA_VA : BigInt(DATA_AT);
  const alias = translated ? ALIAS_VA : data;
  const code = BigInt(DATA_PAGES * PAGE);
  const text = (options.program ?? PROGRAM)
    .replaceAll('CODE_ALIAS', String(alias + code))
    .replaceAll('CODE', String(data + code))
    .replaceAll('DATA', String(data))
    .replaceAll('ALIAS', String(alias));
  assembler.text(text);
  machine.load(assembler.build());
  // The image was put there behind the barrier: what it filled counts as written.
  const { ram } = machine;
  for (let page = 0; page < ramPages; page += 1) {
    const bytes = ram.subarray(page * PAGE, (page + 1) * PAGE);
    if (bytes.some(byte => byte !== 0)) core.view.setUint32(layout.PAGE_EPOCH + page * 4, 1, true);
  }
  const memory = new MachineMemory({
    bytes: core.bytes,
    frames: core,
    framesAt: layout.FRAMES,
    ramAt: guestPhys(RAM_BASE),
    ramSize: ramPages * PAGE,
    dmaPins: new Uint16Array(core.bytes.buffer, layout.DMA_PINS, ramPages + reservePages),
  });
  let reads = 0;
  const counting = () => {
    reads += 1;
    return reads / 1000;
  };
  manager = new MemoryManager({
    core,
    pins: memory,
    // A clock that counts how often it is read: slices end at the same places in every run.
    now: options.now ?? counting,
    ...(saveNow === undefined ? {} : { saveNow }),
  });
  return { machine, memory, manager };
}

/** RAM as the guest sees it, without the barrier or the core's own path to the map. */
export function guestRam({ machine, manager }: Rig): Uint8Array {
  const { tables } = manager;
  const ram = new Uint8Array(machine.ram.length);
  for (let page = 0; page < tables.ramPages; page += 1) ram.set(tables.frameBytes(tables.frameOf(page)), page * PAGE);
  return ram;
}

/** Numbers from 0 to below a limit, the same for the same seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return below => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
