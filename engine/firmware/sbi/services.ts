/** Remote fences (SBI 2.0, chapter 8). `all` means the whole address space; addresses are virtual. */
export type RemoteFence =
  | { readonly kind: 'instructions' }
  | { readonly kind: 'translations'; readonly range: FenceRange | 'all'; readonly addressSpace: number | 'all' };

export interface FenceRange {
  readonly start: bigint;
  readonly size: bigint;
}

export interface ResetRequest {
  readonly type: 'shutdown' | 'cold-reboot' | 'warm-reboot';
  /** The guest says that it failed. */
  readonly failure: boolean;
}

/** Guest RAM by guest-physical address; every method refuses what is not wholly RAM, with no effect. */
export interface SbiMemory {
  contains(at: number, length: number): boolean;
  read(at: number, into: Uint8Array): boolean;
  write(at: number, from: Uint8Array): boolean;
}

/** The machine's console. Never waits. */
export interface SbiConsole {
  /** Takes as many of the bytes as there is room for, in order, and says how many. */
  write(bytes: Uint8Array): number;
  /** Fills `into` from its start with what has been typed, and says how many bytes that were. */
  read(into: Uint8Array): number;
}

/** What the built-in SBI needs of the machine. Called on the hart thread; harts are named by id. */
export interface SbiServices {
  /** Values of the CSRs of the same names. */
  readonly identity: { readonly mvendorid: bigint; readonly marchid: bigint; readonly mimpid: bigint };
  readonly memory: SbiMemory;
  readonly console: SbiConsole;
  /**
   * The supervisor timer interrupt of the hart is pending from the moment `time` reaches `ticks`, and not before;
   * 2^64 - 1 is never.
   */
  setTimer(hart: number, ticks: bigint): void;
  /** Makes the supervisor software interrupt pending. */
  sendInterrupt(harts: readonly number[]): void;
  /** Returns when every one of the harts has the fence behind it, or will before its next instruction. */
  fence(harts: readonly number[], fence: RemoteFence): void;
  /**
   * The hart begins in S-mode at `at` with a0 = its id, a1 = `opaque`, satp and sstatus.SIE 0, and the CSRs of the
   * supervisor handover. `Sbi.hartStarted` is told once it does.
   */
  startHart(hart: number, at: number, opaque: bigint): void;
  /** The hart executes nothing until `startHart`. */
  stopHart(hart: number): void;
  /** Asks the machine to stop or restart; it does so once the call is over. */
  reset(request: ResetRequest): void;
}
