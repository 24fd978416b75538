import { guestPhys } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import { Core, type SbiAnswer } from '../core/core.ts';
import type { Outcome } from '../devices/syscon/device.ts';
import type { BlockStatus } from '../devices/virtio/block/backend.ts';
import { type BootPlan, bootPlan } from '../firmware/boot/plan.ts';
import { Sbi, sbiSection } from '../firmware/sbi/sbi.ts';
import type { ResetRequest } from '../firmware/sbi/services.ts';
import { formatSignature, type SignatureGranularity, signatureRange } from '../firmware/signature.ts';
import { MachineMemory } from '../memory/machine-memory.ts';
import { MemoryManager } from '../memory/memory-manager.ts';
import { StateTreeReader } from '../state/tree.ts';
import { type BootState, bootSection, bootStateOf } from './boot-state.ts';
import { CapturedState } from './captured-state.ts';
import { buildDevices, type Devices, saveDevices } from './devices.ts';
import { GuestClock } from './guest-clock.ts';
import { GuestErrorCounts } from './guest-errors.ts';
import { hartSection, restoreHart, saveHart } from './hart-state.ts';
import { HtifPort } from './htif-port.ts';
import type { MachineParts, RunState, StopReason } from './parts.ts';
import { describePlatform, RAM_AT, TICKS_PER_MILLISECOND } from './platform.ts';
import { loadSegments, resetHart, startHart } from './power-on.ts';
import { sbiServices } from './sbi-services.ts';
import { CommitLog } from './trace.ts';

/**
 * Instructions between two looks at timers, devices and the world outside: about 50 µs, which is what an interrupt from
 * outside waits at most, and long enough that looking costs nothing (bench: interpreter).
 */
const SLICE = 20_000;
/** A bare-metal program that prints through HTIF waits for each answer, so it is looked at more often. */
const HTIF_SLICE = 500;
/** A page that takes longer to arrive could not be read for a time: the guest's clock stood still, as in a pause. */
const LONG_WAIT_MILLISECONDS = 200;
/** What memory jobs take of each slice: the guest keeps more than half of the time (V9). */
const MEMORY_WORK_MICROSECONDS = 25;
/** A traced machine is slow, and its console should not seem dead. */
const TRACED_SLICE = 1000;

/**
 * An RV64GC machine compatible with QEMU's `virt`, over parts that it is given. All methods are for the hart thread.
 * The caller runs slices, polls when something arrived from outside, and sleeps when told to.
 */
export class Machine {
  readonly errors = new GuestErrorCounts();
  readonly core: Core;
  readonly memory: MachineMemory;
  /** Of the P→M map: copy-on-write for checkpoints, virtualizing and devirtualizing at run time. */
  readonly manager: MemoryManager;
  readonly devices: Devices;
  readonly #parts: MachineParts;
  readonly #clock: GuestClock;
  #sbi: Sbi;
  #boot: BootState;
  #htif: HtifPort | undefined;
  readonly #log: CommitLog | undefined;
  #stopped: { reason: StopReason; code: number } | undefined;
  /** Traps since an instruction retired, by whole slices: a program that only traps reaches its limit too. */
  #trapsInRow = 0;
  /** How a traced program ended, seen within a slice. */
  #exit: number | undefined;

  /**
   * A machine after power-on, or, given `state` of a machine of the same parts, that machine: its memory must be in
   * place, and its disk requests in flight lie dormant (VirtioBlock.settle, reissue).
   *
   * @throws AfterimageError when the software cannot be loaded or the state is not one of this machine: one line for a
   *   person, with the file's name
   */
  constructor(parts: MachineParts, state?: Uint8Array) {
    this.#parts = parts;
    this.#clock = new GuestClock(parts.monotonic);
    this.core = new Core(parts.coreModule, parts.memory, {
      mmioLoad: (address, width) => this.#mmioLoad(address, width),
      mmioStore: (address, width, low, high) => this.devices.bus.write(address, width as 1, low, high),
      ticks: () => this.devices.clint.mtime,
      sbiCall: () => this.#sbiCall(),
      cowFault: page => this.manager.fault(page),
      pageIn: page => this.#pageIn(page),
    });
    const { core } = this;
    core.view.setUint32(core.layout.RAM_PAGES, parts.ram / 4096, true);
    core.view.setUint32(core.layout.EPOCH, (parts.restoredEpoch ?? 0) + 1, true);
    this.memory = new MachineMemory({
      bytes: core.bytes,
      frames: core,
      framesAt: core.layout.FRAMES,
      ramAt: guestPhys(RAM_AT),
      ramSize: parts.ram,
      dmaPins: dmaPinsOf(core),
    });
    this.manager = new MemoryManager({ core, pins: this.memory, now: parts.monotonic });
    const saved = state && new StateTreeReader(state);
    const around = {
      memory: this.memory,
      hart: { set: (bit: number, level: boolean) => core.setPin(bit, level) },
      time: this.#clock,
      errors: this.errors,
      finish: (outcome: Outcome) => this.#finish(outcome),
    };
    this.devices = buildDevices(parts, around, saved);
    this.#log = parts.trace && new CommitLog(core, parts.trace);
    this.#sbi = this.#makeSbi(saved);
    this.#boot = saved === undefined ? this.#powerOn() : this.#goOn(saved);
    this.#equip();
  }

  /**
   * Copies the state of hart and devices, requests in flight included; memory and disks are not part of it. To be
   * called between slices. Changes nothing.
   */
  saveState(): Uint8Array {
    return this.captureState().encode();
  }

  /** The same, to be encoded when there is time for it. */
  captureState(): CapturedState {
    const captured = new CapturedState();
    captured.put('machine/hart0', hartSection, saveHart(this.core));
    captured.put('machine/sbi', sbiSection, this.#sbi.save());
    captured.put('machine/boot', bootSection, this.#boot);
    saveDevices(this.devices, captured);
    return captured;
  }

  /**
   * Ends the requests that were in flight when the state was saved: those in the list ended as it says, their data is in
   * memory or on the disk; the others, which only read, are done again.
   */
  settleRequests(
    ended: readonly { readonly device: string; readonly tag: number; readonly status: BlockStatus }[],
  ): void {
    for (const disk of this.devices.disks) {
      for (const { device, tag, status } of ended) if (device === disk.name) disk.settle(tag, status);
      for (const { id, dormant } of disk.inFlight) if (dormant) disk.reissue(id);
    }
  }

  /** Instructions retired since the machine was made. */
  get instructions(): number {
    return Number(this.core.instructionsRetired);
  }

  /** Runs one slice. Console and disks move on with `poll`. */
  runSlice(): RunState {
    if (this.#stopped !== undefined) return { kind: 'stopped', ...this.#stopped };
    if (this.#htif?.blocked) {
      this.#htif.poll();
      if (this.#htif.blocked) return { kind: 'idle', milliseconds: Number.POSITIVE_INFINITY };
    }
    const limit = this.#parts.maxInstructions ?? Number.POSITIVE_INFINITY;
    const before = this.instructions;
    if (before >= limit || this.#trapsInRow > limit) return this.#stop('limit', 0);
    const budget = Math.min(limit - before, this.#sliceLength());
    const result = this.#run(budget);
    if (this.instructions !== before) this.#trapsInRow = 0;
    else if (result === 'budget') this.#trapsInRow += budget;
    this.devices.clint.update();
    this.devices.rtc.update();
    this.devices.uart.poll();
    this.devices.virtioConsole?.poll();
    const exit = this.#exit ?? this.#htif?.poll();
    if (exit !== undefined) return this.#stop('exit', exit);
    if (this.#stopped !== undefined)
      return { kind: 'stopped', ...(this.#stopped as { reason: StopReason; code: number }) };
    const working = this.manager.busy && this.manager.work(MEMORY_WORK_MICROSECONDS);
    if (result !== 'waiting' || working) return { kind: 'running' };
    const milliseconds = this.#millisecondsUntilTimer();
    if (milliseconds <= 0 || this.#interruptPending()) return { kind: 'running' };
    this.devices.uart.poll(true);
    return this.#interruptPending() ? { kind: 'running' } : { kind: 'idle', milliseconds };
  }

  /** To be called when something arrived from outside: console input, room for output, a finished disk request. */
  poll(): void {
    this.devices.uart.poll();
    this.devices.virtioConsole?.poll();
    this.#htif?.poll();
  }

  /** Starts anew in the same memory, as after a press of the reset button. */
  restart(): void {
    this.#stopped = undefined;
    for (const device of this.devices.bus.devices) device.reset();
    this.#sbi = this.#makeSbi();
    this.#boot = this.#powerOn();
    this.#equip();
  }

  /** The machine's time stands still until `resume`. */
  pause(): void {
    this.#clock.pause();
  }

  resume(): void {
    this.#clock.resume();
  }

  /** A new window size for the virtio console. */
  resize(columns: number, rows: number): void {
    this.devices.virtioConsole?.resize(columns, rows);
  }

  /** The words between `begin_signature` and `end_signature`, as compliance suites expect them. */
  signature(granularity: SignatureGranularity): string {
    const { at, length } = signatureRange(this.#symbols);
    const bytes = new Uint8Array(length);
    if (!this.memory.read(guestPhys(at), bytes)) {
      throw new AfterimageError('corrupt', 'The program has a signature outside RAM; check begin_signature', { at });
    }
    return formatSignature(bytes, granularity);
  }

  #sliceLength(): number {
    if (this.#log !== undefined) return TRACED_SLICE;
    return this.#htif === undefined ? SLICE : HTIF_SLICE;
  }

  #run(budget: number): ReturnType<Core['run']> {
    if (this.#log === undefined) return this.core.run(budget);
    let result: ReturnType<Core['run']> = 'budget';
    for (let i = budget; i > 0 && result === 'budget' && this.#exit === undefined; i -= 1) {
      result = this.#log.step();
      // At each step, so that the log ends where the program does.
      this.#exit = this.#htif?.poll();
    }
    return result;
  }

  #makePlan(): BootPlan {
    const { ram, software, commandLine, decompressors, entropy } = this.#parts;
    const rngSeed = new Uint8Array(64);
    const kaslrSeed = new Uint8Array(8);
    entropy(rngSeed);
    entropy(kaslrSeed);
    return bootPlan({
      machine: describePlatform(ram),
      software: typeof software === 'function' ? software() : software,
      rngSeed,
      kaslrSeed,
      ...(commandLine === undefined ? {} : { commandLine }),
      ...(decompressors === undefined ? {} : { decompressors }),
    });
  }

  #makeSbi(saved?: StateTreeReader): Sbi {
    const { core, memory } = this;
    const { console } = this.#parts;
    const reset = (request: ResetRequest) => this.#sbiReset(request);
    const services = sbiServices({ core, memory, console, uart: this.devices.uart, reset });
    return saved === undefined
      ? Sbi.atPowerOn(services, 1)
      : Sbi.restore(services, 1, saved.take('machine/sbi', sbiSection));
  }

  /** Goes on from a saved state instead of from power-on. */
  #goOn(saved: StateTreeReader): BootState {
    const { core } = this;
    const hart = saved.take('machine/hart0', hartSection);
    const boot = saved.take('machine/boot', bootSection);
    saved.finish();
    // Every page may have been written before: none counts as never written.
    const { ram, restoredEpoch } = this.#parts;
    if (restoredEpoch === undefined) this.manager.tables.setEpochs(0, ram / 4096, 1);
    else this.manager.beginRestored();
    resetHart(core);
    restoreHart(core, hart);
    return boot;
  }

  #powerOn(): BootState {
    const plan = this.#makePlan();
    loadSegments(this.core, this.memory, plan.segments);
    startHart(this.core, plan);
    return bootStateOf(plan);
  }

  get #symbols(): ReadonlyMap<string, number> {
    return new Map(this.#boot.symbols.map(({ name, at }) => [name, at]));
  }

  /** What follows from the boot plan. */
  #equip(): void {
    const { core } = this;
    core.view.setUint32(core.layout.BUILTIN_SBI, this.#boot.builtInSbi ? 1 : 0, true);
    this.devices.rom.load(this.#boot.rom);
    const toHost = this.#symbols.get('tohost');
    const { memory, errors } = this;
    const fromHost = this.#symbols.get('fromhost');
    this.#htif =
      toHost === undefined
        ? undefined
        : new HtifPort({ memory, errors, console: this.#parts.console, toHost, fromHost });
  }

  #pageIn(page: number): void {
    const { pageIn, monotonic } = this.#parts;
    if (pageIn === undefined) throw new AfterimageError('internal', 'A page is absent and nobody brings it', { page });
    const from = monotonic();
    pageIn(page);
    const waited = monotonic() - from;
    if (waited >= LONG_WAIT_MILLISECONDS) this.#clock.skip(waited);
  }

  #mmioLoad(address: number, width: number): number | bigint | undefined {
    const { bus } = this.devices;
    const value = bus.read(address, width as 1);
    if (width !== 8 || value === undefined) return value;
    return (BigInt(bus.high) << 32n) | BigInt(value);
  }

  #sbiCall(): SbiAnswer {
    const { core } = this;
    const outcome = this.#sbi.call(0, {
      get: index => core.register(index),
      set: (index, value) => core.setRegister(index, value),
    });
    switch (outcome) {
      case 'again':
        return 1;
      case 'wait':
        return 2;
      case 'return':
      case 'leave':
        return 0;
    }
  }

  #sbiReset(request: ResetRequest): void {
    if (request.type !== 'shutdown') this.#finish({ kind: 'reset', code: 0 });
    else if (request.failure) this.#finish({ kind: 'fail', code: 1 });
    else this.#finish({ kind: 'poweroff', code: 0 });
  }

  #finish(outcome: Outcome): void {
    this.#stopped ??= { reason: outcome.kind, code: outcome.code };
    this.core.stop();
  }

  #stop(reason: StopReason, code: number): RunState {
    this.#stopped = { reason, code };
    return { kind: 'stopped', reason, code };
  }

  #interruptPending(): boolean {
    return this.core.wakes;
  }

  #millisecondsUntilTimer(): number {
    const now = this.devices.clint.mtime;
    const ticks = Math.min(
      this.core.ticksUntilSupervisorTimer(now),
      this.devices.clint.ticksUntilTimer(),
      this.devices.rtc.nanosecondsUntilAlarm() / 100,
    );
    return ticks / TICKS_PER_MILLISECOND;
  }
}

/** The counts of devices' requests that are going to fill a frame, where the saver sees them. */
function dmaPinsOf({ bytes, layout }: Core): Uint16Array {
  const frames = Math.floor((bytes.byteLength - layout.FRAMES) / 4096);
  return new Uint16Array(bytes.buffer, layout.DMA_PINS, frames);
}
