import { type GuestPhys, guestPhys, PAGE_SIZE } from '../base/addresses.ts';

/** What the core asks of its host; all calls come on the hart thread, from within `run`. */
export interface CoreHost {
  /** Reads 1, 2, 4 or 8 bytes at a guest-physical address outside RAM; undefined when no device answers. */
  mmioLoad(address: number, width: number): number | bigint | undefined;
  /** Writes likewise; false when no device answers. `high` is the upper half of an 8-byte value. */
  mmioStore(address: number, width: number, low: number, high: number): boolean;
  /** Time in ticks of 10 MHz, never going back. */
  ticks(): number;
  /** An ECALL from S-mode while the built-in SBI is on; arguments and results are in the registers. */
  sbiCall(): SbiAnswer;
  /** A store meets a page held by a checkpoint (C4) or a frame that others need: gives the page one of its own. */
  cowFault(page: number): void;
  /** The first use of a page that is absent (a lazy restore): returns when its bytes are in its frame. */
  pageIn?(page: number): void;
}

/** 0: answered; 1: nothing has changed, the hart stays on its ECALL for now; 2: answered, and it waits as WFI does. */
export type SbiAnswer = 0 | 1 | 2;

/** Why `run` returned: the budget is used up, WFI with nothing pending, or `stop` was called. */
export type RunResult = 'budget' | 'waiting' | 'stopped';

const RESULTS: readonly RunResult[] = ['budget', 'waiting', 'stopped'];

/** Names of the layout words that the host uses; their values are exported by the compiled core. */
const LAYOUT = [
  'HART',
  'HART_SIZE',
  'X',
  'F',
  'PC',
  'INSTRET',
  'MODE',
  'MSTATUS',
  'MEDELEG',
  'MIDELEG',
  'MIE',
  'MIP_PINS',
  'MCOUNTEREN',
  'SCOUNTEREN',
  'MENVCFG',
  'STIMECMP',
  'PMPCFG',
  'PMPADDR',
  'HART_ID',
  'MMIO_HIGH',
  'MMIO_FAULT',
  'BUILTIN_SBI',
  'STOP',
  'TRAP_COUNT',
  'FILL_COUNT',
  'CODE_DROPS',
  'MAP_LOOKUPS',
  'MAP_DIRECTORY',
  'MAP_CHUNK',
  'MAP_RANGES',
  'MAP_RANGES_LIMIT',
  'SAVE_STATE',
  'DMA_PINS',
  'PAGE_EPOCH',
  'RAM_PAGES',
  'EPOCH',
  'HOLDING',
  'HOLD_SINCE',
  'HOLD_ABANDONED',
  'URGENT_PAGE',
  'MAP_COUNT',
  'FRAMES',
  'RESERVATION',
  'FFLAGS',
  'FRM',
  'FRAME_STATE',
  'FRAME_SHARED',
  'PAGE_FLAGS',
  'PAGE_ABSENT',
  'PAGE_UNTOUCHED',
  'PAGE_CHECKS',
  'ABSENT_COUNT',
  'WANTED_PAGE',
  'PAGE_ARRIVALS',
  'TOUCH_LOG',
  'TOUCH_LOG_LENGTH',
  'TOUCH_COUNT',
  'TLB',
  'TLB_CONTEXT_SIZE',
  'TLB_ENTRIES',
  'TLB_FETCH',
  'CODE_META',
  'CODE_SLOTS',
] as const;

export type Layout = Readonly<Record<(typeof LAYOUT)[number], number>>;

interface CoreExports {
  begin(): void;
  run(budget: number): number;
  settle(): void;
  frameForStore(page: number): number;
  frameOf(page: number): number;
  flushAll(): void;
  beginEpoch(hold: number): void;
  dropAll(): void;
  dropStale(): void;
  written(frame: number): void;
  copyFrame(from: number, to: number): void;
  dropFrame(frame: number): void;
  forgetFrame(frame: number): void;
  csrsChanged(): void;
  readCsr(csr: number): bigint;
  writeCsr(csr: number, value: bigint): void;
  peekFetch(address: bigint): bigint;
  pendingInterrupts(): bigint;
}

const MACHINE_MODE = 3;

/** Guest-physical address of RAM (QEMU's virt). */
export const RAM_BASE: GuestPhys = guestPhys(0x80000000);

/** The compiled core over one machine memory: registers, running, and the services of its slow path. */
export class Core {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #exports: CoreExports;

  /**
   * @param module compiled from `engine/core/build/core.wasm`
   * @param memory shared, at least `memoryPagesFor(ram)` pages, maximum 65536
   */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, host: CoreHost) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    const view = this.view;
    let mmioFault = 0;
    let mmioHigh = 0;
    const instance = new WebAssembly.Instance(module, {
      env: {
        memory,
        abort: () => {
          throw new Error('The core aborted');
        },
      },
      host: {
        mmioLoad: (address: number, width: number): number => {
          const value = host.mmioLoad(address >>> 0, width);
          if (value === undefined) {
            view.setUint32(mmioFault, 1, true);
            return 0;
          }
          if (width !== 8) return Number(value) | 0;
          const wide = BigInt(value);
          view.setUint32(mmioHigh, Number((wide >> 32n) & 0xffffffffn), true);
          return Number(wide & 0xffffffffn) | 0;
        },
        mmioStore: (address: number, width: number, low: number, high: number): void => {
          if (!host.mmioStore(address >>> 0, width, low >>> 0, high >>> 0)) view.setUint32(mmioFault, 1, true);
        },
        ticks: () => host.ticks(),
        sbiCall: () => host.sbiCall(),
        cowFault: (page: number) => host.cowFault(page >>> 0),
        pageIn: (page: number) => {
          if (host.pageIn === undefined) throw new Error('A page is absent and nobody brings it');
          host.pageIn(page >>> 0);
        },
      },
    });
    this.#exports = instance.exports as unknown as CoreExports;
    const layout: Partial<Record<(typeof LAYOUT)[number], number>> = {};
    for (const name of LAYOUT) layout[name] = (instance.exports[name] as WebAssembly.Global).value;
    this.layout = layout as Layout;
    mmioFault = this.layout.MMIO_FAULT;
    mmioHigh = this.layout.MMIO_HIGH;
  }

  /** Runs at most `budget` instructions (a trap counts as one). */
  run(budget: number): RunResult {
    return RESULTS[this.#exports.run(budget)] ?? 'stopped';
  }

  /** To be called after state was written from outside (power-on, reset, restore), before `run`. */
  begin(): void {
    this.#exports.begin();
  }

  /** Makes the hart's block in memory complete so that it can be read or copied. */
  settle(): void {
    this.#exports.settle();
  }

  /** Makes `run` return after the present instruction. */
  stop(): void {
    this.view.setUint32(this.layout.STOP, 1, true);
  }

  clearStop(): void {
    this.view.setUint32(this.layout.STOP, 0, true);
  }

  register(index: number): bigint {
    return this.view.getBigUint64(this.layout.X + index * 8, true);
  }

  setRegister(index: number, value: bigint): void {
    if (index !== 0) this.view.setBigUint64(this.layout.X + index * 8, BigInt.asUintN(64, value), true);
  }

  floatRegister(index: number): bigint {
    return this.view.getBigUint64(this.layout.F + index * 8, true);
  }

  get pc(): bigint {
    return this.view.getBigUint64(this.layout.PC, true);
  }

  set pc(value: bigint) {
    this.view.setBigUint64(this.layout.PC, value, true);
  }

  /** Privilege mode: 0 U, 1 S, 3 M. */
  get mode(): number {
    return this.view.getUint32(this.layout.MODE, true);
  }

  set mode(value: number) {
    this.view.setUint32(this.layout.MODE, value, true);
  }

  /** Instructions retired since power-on. */
  get instructionsRetired(): bigint {
    return this.view.getBigUint64(this.layout.INSTRET, true);
  }

  word64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }

  setWord64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }

  /** Sets or clears a bit of mip that a device drives. */
  setPin(bit: number, level: boolean): void {
    const at = this.layout.MIP_PINS;
    const word = this.view.getUint32(at, true);
    this.view.setUint32(at, level ? word | (1 << bit) : word & ~(1 << bit), true);
  }

  /** Interrupts that are pending now (mip). */
  get pending(): bigint {
    return BigInt.asUintN(64, this.#exports.pendingInterrupts());
  }

  readCsr(csr: number): bigint {
    return BigInt.asUintN(64, this.#exports.readCsr(csr));
  }

  /** Reads a CSR as machine mode would, whatever the hart's mode. */
  readMachineCsr(csr: number): bigint {
    const mode = this.mode;
    this.mode = MACHINE_MODE;
    const value = this.readCsr(csr);
    this.mode = mode;
    return value;
  }

  /** Writes a CSR as machine mode would, whatever the hart's mode. */
  writeMachineCsr(csr: number, value: bigint): void {
    const mode = this.mode;
    this.mode = MACHINE_MODE;
    this.#exports.writeCsr(csr, BigInt.asIntN(64, value));
    this.mode = mode;
  }

  /** Frame of a guest-physical page (counted from the start of RAM) for reading. */
  frameOf(page: number): number {
    return this.#exports.frameOf(page) >>> 0;
  }

  /** The same for writing, through the write barrier. */
  frameForStore(page: number): number {
    return this.#exports.frameForStore(page) >>> 0;
  }

  flushTranslations(): void {
    this.#exports.flushAll();
  }

  /** Drops decoded code that was written since, as FENCE.I does. */
  dropStaleCode(): void {
    this.#exports.dropStale();
  }

  /** Drops all decoded code, after memory was changed behind the write barrier. */
  dropCode(): void {
    this.#exports.dropAll();
  }

  /** A device has written into a frame that it was given before: code decoded from it is stale. */
  written(frame: number): void {
    this.#exports.written(frame);
  }

  /** Copies a frame's bytes for the page that moves there. */
  copyFrame(from: number, to: number): void {
    this.#exports.copyFrame(from, to);
  }

  /** Drops what was decoded from a frame, before the frame gets another page's content. */
  dropFrame(frame: number): void {
    this.#exports.dropFrame(frame);
  }

  /** Removes every TLB entry that leads to a frame, for its page has moved. */
  forgetFrame(frame: number): void {
    this.#exports.forgetFrame(frame);
  }

  /**
   * Starts a new epoch: every page counts as clean, and the first store to each takes the slow path, which asks
   * `cowFault` when `hold` is set. Costs the same for any size of RAM (C2). Returns the new epoch.
   */
  beginEpoch(hold: boolean): number {
    this.#exports.beginEpoch(hold ? 1 : 0);
    return this.view.getUint32(this.layout.EPOCH, true);
  }

  /** No page is held any more; stores settle their pages for the epoch without asking. */
  endHold(): void {
    this.view.setUint32(this.layout.HOLDING, 0, true);
  }

  /** Epoch in which a page was last written, 0 when it never was. */
  pageEpoch(page: number): number {
    return this.view.getUint32(this.layout.PAGE_EPOCH + page * 4, true);
  }

  setPageEpoch(page: number, epoch: number): void {
    this.view.setUint32(this.layout.PAGE_EPOCH + page * 4, epoch, true);
  }

  /** Whether WFI would end now: an interrupt that is enabled in mie is pending, whatever mstatus says. */
  get wakes(): boolean {
    return (this.pending & this.word64(this.layout.MIE)) !== 0n;
  }

  /** Ticks from `now` until stimecmp is reached; 0 when it has been, Infinity when it never will or does not count. */
  ticksUntilSupervisorTimer(now: number): number {
    const { MENVCFG, STIMECMP } = this.layout;
    const enabled = (this.word64(MENVCFG) >> 63n) & 1n;
    const compare = this.word64(STIMECMP);
    if (enabled === 0n || compare > BigInt(Number.MAX_SAFE_INTEGER)) return Number.POSITIVE_INFINITY;
    return Math.max(0, Number(compare) - now);
  }

  /** The instruction that a fetch at a virtual address would find now, for logs; undefined where a fetch would fault. */
  encodingAt(address: bigint): number | undefined {
    const low = this.#halfAt(address);
    if (low === undefined || (low & 3) !== 3) return low;
    const high = this.#halfAt(address + 2n);
    return high === undefined ? undefined : ((high << 16) | low) >>> 0;
  }

  #halfAt(address: bigint): number | undefined {
    const physical = BigInt.asUintN(64, this.#exports.peekFetch(BigInt.asIntN(64, address)));
    const offset = Number(physical) - RAM_BASE;
    const pages = this.view.getUint32(this.layout.RAM_PAGES, true);
    if (offset < 0 || offset >= pages * PAGE_SIZE) return undefined;
    const frame = this.frameOf(Math.floor(offset / PAGE_SIZE));
    return this.view.getUint16(this.layout.FRAMES + frame * PAGE_SIZE + (offset % PAGE_SIZE), true);
  }
}
