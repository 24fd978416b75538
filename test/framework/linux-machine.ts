import { readFileSync } from 'node:fs';
import type { Guest } from '../../assets/guest/guest.ts';
import type { ConsolePort } from '../../engine/devices/console-port.ts';
import { Machine } from '../../engine/machine/machine.ts';
import type { MachineParts } from '../../engine/machine/parts.ts';
import { AbsentPages } from '../../engine/memory/absent-pages.ts';
import { machineMemorySize } from '../../engine/memory/sizing.ts';
import { MemoryTables } from '../../engine/memory/tables.ts';
import { coreModule } from './bare-machine.ts';

const RAM = 128 * 2 ** 20;
/** Machine address of the first frame (engine/core/assembly/layout.ts). */
const FRAMES = 0x4000000;
/** Instructions per millisecond of the virtual clock: 100 MIPS. */
const SPEED = 100_000;

/** What a machine goes on from. */
interface Origin {
  readonly state: Uint8Array;
  readonly original: LinuxMachine;
  /** Pages arrive at their first use. */
  readonly lazily: boolean;
  /** 16 bytes by which the guest knows that it was restored. */
  readonly generation?: Uint8Array;
}

class TestConsole implements ConsolePort {
  output = '';
  #input: number[] = [];

  type(text: string): void {
    this.#input.push(...Buffer.from(text));
  }

  get available(): number {
    return this.#input.length;
  }

  read(into: Uint8Array): number {
    const bytes = this.#input.splice(0, into.length);
    into.set(bytes);
    return bytes.length;
  }

  get room(): number {
    return 65536;
  }

  write(from: Uint8Array): number {
    this.output += Buffer.from(from).toString('latin1');
    return from.length;
  }
}

/**
 * The default guest on the machine, in this thread, with a clock that counts instructions: the same in every run, so
 * that two machines can be compared bit for bit.
 */
export class LinuxMachine {
  readonly machine: Machine;
  readonly console = new TestConsole();
  /** State of the random numbers; a restored machine goes on with those of the original. */
  #random = 1;
  /** Milliseconds that the guest slept through. */
  #slept = 0;
  /** The clock when this machine was made, and the instructions that had retired by then. */
  readonly #from: { readonly milliseconds: number; readonly instructions: number };

  /** Of a lazily restored machine: pages that it has used, in order, and how the rest is brought. */
  readonly arrived: number[] = [];
  bringAll = (): void => {};

  private constructor(module: WebAssembly.Module, guest: Guest, from?: Origin) {
    const size = machineMemorySize(RAM, FRAMES);
    const memory = new WebAssembly.Memory({ initial: size.wasmPages, maximum: 65536, shared: true });
    this.#from = {
      milliseconds: from ? from.original.#exactly : 0,
      instructions: from?.original.machine.instructions ?? 0,
    };
    if (from) this.#random = from.original.#random;
    const pageIn = from?.lazily ? this.#leaveAbsent(memory, from.original) : undefined;
    if (from && !from.lazily) new Uint8Array(memory.buffer, FRAMES, RAM).set(from.original.ram);
    const parts: MachineParts = {
      coreModule: module,
      memory,
      ram: RAM,
      software: {
        way: 'linux',
        kernel: { name: guest.kernel, bytes: readFileSync(guest.kernel) },
        initrd: { name: guest.initrd, bytes: readFileSync(guest.initrd) },
      },
      commandLine: guest.append,
      console: this.console,
      disks: [],
      entropy: into => {
        for (let i = 0; i < into.length; i += 1) {
          this.#random = (this.#random * 48271) % 0x7fffffff;
          into[i] = this.#random & 0xff;
        }
      },
      wallClock: { nanoseconds: () => 1_700_000_000_000_000_000n },
      monotonic: () => this.milliseconds,
      ...(from?.generation === undefined ? {} : { generation: from.generation }),
      ...(pageIn === undefined ? {} : { pageIn, restoredEpoch: 1 }),
    };
    this.machine = new Machine(parts, from?.state);
  }

  static async boot(guest: Guest): Promise<LinuxMachine> {
    return new LinuxMachine(await coreModule(), guest);
  }

  /** Another machine with the saved state and the present memory of `original`. */
  static async resume(
    guest: Guest,
    state: Uint8Array,
    original: LinuxMachine,
    how: { readonly lazily?: boolean; readonly generation?: Uint8Array } = {},
  ): Promise<LinuxMachine> {
    return new LinuxMachine(await coreModule(), guest, { lazily: false, ...how, state, original });
  }

  /** Prepares memory whose pages are those of `original` now, absent, with rubbish in their frames. */
  #leaveAbsent(memory: WebAssembly.Memory, original: LinuxMachine): (page: number) => void {
    const { layout } = original.machine.core;
    const bytes = new Uint8Array(memory.buffer);
    const image = original.ram.slice();
    const pageOf = (page: number) => image.subarray(page * 4096, (page + 1) * 4096);
    new DataView(memory.buffer).setUint32(layout.RAM_PAGES, RAM / 4096, true);
    const tables = new MemoryTables(bytes, layout);
    const absent = new AbsentPages(tables);
    const stored: number[] = [];
    for (let page = 0; page < RAM / 4096; page += 1) {
      if (!pageOf(page).some(byte => byte !== 0)) continue;
      stored.push(page);
      tables.frameBytes(page).fill(0xa5);
    }
    absent.begin(
      stored.map(first => ({ first, count: 1 })),
      1,
    );
    const bring = (page: number) => {
      tables.frameBytes(page).set(pageOf(page));
      absent.arrived(page);
    };
    this.bringAll = () => {
      for (const page of stored) if (absent.has(page)) bring(page);
    };
    return page => {
      this.arrived.push(page);
      bring(page);
    };
  }

  /**
   * The virtual clock, in steps of an eighth of a millisecond, which binary fractions and ticks both have exactly. While
   * the machine is being made it stands still.
   */
  get milliseconds(): number {
    return Math.floor(this.#exactly * 8) / 8;
  }

  get #exactly(): number {
    const { milliseconds, instructions } = this.#from;
    const retired = (this.machine as Machine | undefined)?.instructions ?? instructions;
    return milliseconds + (retired - instructions) / SPEED + this.#slept;
  }

  get ram(): Uint8Array {
    return this.machine.core.bytes.subarray(FRAMES, FRAMES + RAM);
  }

  /** Runs slices until so many instructions have retired since power-on, or the console shows a text. */
  runUntil(condition: { readonly instructions: number } | { readonly shows: string }): void {
    for (;;) {
      if ('instructions' in condition && this.machine.instructions >= condition.instructions) return;
      if ('shows' in condition && this.console.output.includes(condition.shows)) return;
      const state = this.machine.runSlice();
      if (state.kind === 'stopped')
        throw new Error(`The guest stopped (${state.reason}): ${this.console.output.slice(-500)}`);
      if (state.kind !== 'idle') continue;
      if (!Number.isFinite(state.milliseconds))
        throw new Error(`The guest sleeps for good: ${this.console.output.slice(-500)}`);
      this.#slept += state.milliseconds;
    }
  }
}
