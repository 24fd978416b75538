import { readFileSync } from 'node:fs';
import { buildCore } from '../../engine/core/build.ts';
import { Core, RAM_BASE } from '../../engine/core/core.ts';

const PAGE = 4096;
const WASM_PAGE = 65536;
/** Size of what lies below the frames in machine memory (engine/core/assembly/layout.ts). */
const TABLES = 64 << 20;
/** Instructions between two looks at the clock and the pins. */
const SLICE = 5000;

let compiled: Promise<WebAssembly.Module> | undefined;

/** The compiled core, built from its sources when they have changed. */
export function coreModule(): Promise<WebAssembly.Module> {
  compiled ??= buildCore().then(file => new WebAssembly.Module(readFileSync(file)));
  return compiled;
}

/** Why a bare machine stopped: the value written to the test finisher, or the instructions used up, or asleep for good. */
export type Ending = { readonly finisher: number } | 'out of instructions' | 'asleep';

/**
 * The core with RAM, a UART that only sends, the test finisher, the CLINT's registers and a clock that counts
 * instructions: enough for programs of our own, and the same in every run.
 */
export class BareMachine {
  readonly core: Core;
  readonly #ramBytes: number;
  #output = '';
  #finisher: number | undefined;
  #comparison = 2n ** 64n - 1n;
  #softwareInterrupt = 0;
  /** Ticks of the clock beyond those that instructions make. */
  #skipped = 0n;

  /** @param more bytes of frames beyond RAM, and what answers copy-on-write faults and brings absent pages */
  constructor(
    module: WebAssembly.Module,
    ramBytes = 64 << 20,
    more: {
      readonly reserveBytes?: number;
      readonly cowFault?: (page: number) => void;
      readonly pageIn?: (page: number) => void;
    } = {},
  ) {
    this.#ramBytes = ramBytes;
    const initial = (TABLES + ramBytes + (more.reserveBytes ?? 0)) / WASM_PAGE;
    const memory = new WebAssembly.Memory({ initial, maximum: 65536, shared: true });
    this.core = new Core(module, memory, {
      mmioLoad: (address, width) => this.#load(address, width),
      mmioStore: (address, width, low, high) => this.#store(address, width, low, high),
      ticks: () => Number(this.#ticks()),
      sbiCall: () => 0,
      cowFault: more.cowFault ?? (() => {}),
      ...(more.pageIn === undefined ? {} : { pageIn: more.pageIn }),
    });
    const { layout, view } = this.core;
    view.setUint32(layout.RAM_PAGES, ramBytes / PAGE, true);
    view.setUint32(layout.EPOCH, 1, true);
    this.core.pc = BigInt(RAM_BASE);
    this.core.mode = 3;
    this.core.begin();
  }

  /** What the guest sent through the UART. */
  get output(): string {
    return this.#output;
  }

  /** RAM as it is now. */
  get ram(): Uint8Array {
    const at = this.core.layout.FRAMES;
    return this.core.bytes.subarray(at, at + this.#ramBytes);
  }

  load(bytes: Uint8Array, address: number = RAM_BASE): void {
    this.ram.set(bytes, address - RAM_BASE);
    this.core.dropCode();
  }

  /** Runs until the program ends itself, or for about `limit` instructions, at most `slice` at a time. */
  run(limit: number, slice = SLICE): Ending {
    for (let left = limit; left > 0; left -= slice) {
      const due = this.#ticks() >= this.#comparison;
      this.core.setPin(7, due);
      this.core.setPin(3, this.#softwareInterrupt !== 0);
      const result = this.core.run(Math.min(slice, left));
      if (this.#finisher !== undefined) return { finisher: this.#finisher };
      if (result === 'waiting' && !this.#sleep()) return 'asleep';
      this.core.clearStop();
    }
    return 'out of instructions';
  }

  /** Moves the clock to the next timer event, as sleeping does; false when there is none and nothing is pending. */
  #sleep(): boolean {
    const { core } = this;
    if ((core.pending & core.word64(core.layout.MIE)) !== 0n) return true;
    const supervisor = core.readCsr(0x30a) >> 63n === 1n ? core.word64(core.layout.STIMECMP) : 2n ** 64n - 1n;
    const next = supervisor < this.#comparison ? supervisor : this.#comparison;
    if (next >= 2n ** 63n) return false;
    if (next > this.#ticks()) this.#skipped += next - this.#ticks();
    return true;
  }

  /** One tick is ten instructions: 100 MIPS at 10 MHz. */
  #ticks(): bigint {
    return this.core.instructionsRetired / 10n + this.#skipped;
  }

  #load(address: number, width: number): number | bigint | undefined {
    if (address >= 0x10000000 && address < 0x10000100) return address === 0x10000005 ? 0x60 : 0;
    if (address >= 0x100000 && address < 0x101000) return 0;
    if (address === 0x2000000) return this.#softwareInterrupt;
    if (address === 0x200bff8) return width === 8 ? this.#ticks() : Number(this.#ticks() & 0xffffffffn);
    if (address === 0x2004000) return width === 8 ? this.#comparison : Number(this.#comparison & 0xffffffffn);
    return undefined;
  }

  #store(address: number, width: number, low: number, high: number): boolean {
    if (address === 0x10000000) this.#output += String.fromCharCode(low & 0xff);
    else if (address === 0x100000) {
      this.#finisher = low;
      this.core.stop();
    } else if (address === 0x2000000) this.#softwareInterrupt = low & 1;
    else if (address === 0x2004000 && width === 8) this.#comparison = (BigInt(high) << 32n) | BigInt(low);
    else return address >= 0x10000001 && address < 0x10000100;
    this.core.setPin(3, this.#softwareInterrupt !== 0);
    this.core.setPin(7, this.#ticks() >= this.#comparison);
    return true;
  }
}
