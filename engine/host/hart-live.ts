// The hart thread's side of checkpoints and memory jobs (docs/ARCHITECTURE.md, the path of one checkpoint).
import { AfterimageError, assertNever } from '../base/errors.ts';
import type { CapturedState } from '../machine/captured-state.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import type { MemoryManager } from '../memory/memory-manager.ts';
import type { DiskLink } from './disk-link.ts';
import type { CommandSource, HartCommand, LiveMessage, MemoryCountsAnswer } from './hart-commands.ts';

/** What a machine that can be checkpointed has beside HartMachine. */
export interface LiveMachine {
  readonly manager: MemoryManager;
  readonly memory: MachineMemory;
  readonly instructions: number;
  captureState(): CapturedState;
}

export interface HartLiveParts {
  readonly machine: Partial<LiveMachine> & { readonly instructions: number };
  readonly disks: DiskLink;
  readonly commands: CommandSource;
  readonly say: (message: LiveMessage) => void;
  /** Milliseconds with fractions. */
  readonly now: () => number;
}

/** A few milliseconds at the start. */
const WARM_UP_ROUNDS = 15;
/** After so many the runtime has compiled the pause's code for good; while it does, its compiler takes the processor. */
const REHEARSALS = 1500;
/** So many in a row keep what rings the bell waiting for 0.1 ms at most. */
const REHEARSALS_AT_ONCE = 2;

type Take = Extract<HartCommand, { kind: 'take' }>;
type Asked = Exclude<HartCommand, Take>;

/** Takes moments between two slices, and tells the I/O thread what it needs to save them. */
export class HartLive {
  readonly #parts: HartLiveParts;
  /** Prepared; the machine runs a slice before its moment, since preparing is no part of the pause. */
  #prepared: Take | undefined;
  #take: Take | undefined;
  #settling = false;
  #rehearsals = 0;
  #afterwards: (() => void) | undefined;

  constructor(parts: HartLiveParts) {
    this.#parts = parts;
    // Code that never ran takes several times as long, and the first checkpoint's pause counts like any.
    const { manager, captureState } = parts.machine;
    for (let round = 0; round < WARM_UP_ROUNDS && manager && captureState; round += 1) {
      manager.hold();
      captureState.call(parts.machine).encode();
      manager.release({ mode: 'paused' });
    }
  }

  /** Whether `rehearse` is of use. */
  get unrehearsed(): boolean {
    return this.#rehearsals < REHEARSALS && this.#parts.machine.captureState !== undefined && !this.busy;
  }

  /** Uses the time of a guest that sleeps to have the code of the pause compiled before it counts. */
  rehearse(): void {
    const { machine } = this.#parts;
    for (let round = 0; round < REHEARSALS_AT_ONCE; round += 1) machine.captureState?.();
    this.#rehearsals += REHEARSALS_AT_ONCE;
  }

  /** Whether a checkpoint needs this thread: one is to begin, or one is being saved. */
  get busy(): boolean {
    return this.due || this.#settling || this.#parts.machine.manager?.holding === true;
  }

  /** Whether `moment` or `finishMoment` has something to do. */
  get due(): boolean {
    return this.#prepared !== undefined || this.#take !== undefined || this.#afterwards !== undefined;
  }

  /** Looks at commands and at pending requests. To be called when the bell has rung, after the disks were polled. */
  attend(): void {
    for (let command = this.#parts.commands.next(); command !== undefined; command = this.#parts.commands.next()) {
      if (command.kind === 'take') this.#begin(command);
      else this.#answer(command);
    }
    this.#settle();
  }

  /**
   * The moment, when one is due. The caller is between two slices and goes on with the next when this returns.
   * @param wait sleeps until the I/O thread rings, and has what arrived attended to; false when the machine is to stop
   */
  moment(wait: () => boolean): void {
    const take = this.#take;
    const { machine, disks, say, now } = this.#parts;
    this.#take = this.#prepared;
    this.#prepared = undefined;
    if (take === undefined || machine.manager === undefined || machine.captureState === undefined) return;
    const from = now();
    const epoch = machine.manager.hold(take.since);
    const captured = machine.captureState();
    // A read must not be made again where a write follows it (C11).
    const waits = take.pending === 'wait' || (take.pending === 'reissue' && disks.readsBeforeWrites);
    const { manager, memory } = machine;
    disks.beginMoment(
      take.pending === 'reissue' && memory !== undefined ? read => memory.readAgain(read, manager) : undefined,
    );
    const { pending } = disks.moment;
    if (waits) {
      disks.announceMoment();
      while (disks.moment.left > 0 && wait());
    }
    const pauseMicroseconds = Math.round((now() - from) * 1000);
    this.#settling = true;
    this.#afterwards = () => {
      disks.announceMoment();
      const state = captured.encode();
      const { instructions } = machine;
      say({ kind: 'moment', epoch, state, pauseMicroseconds, pendingRequests: pending, instructions });
    };
  }

  /** What a moment leaves to be done once the machine runs again. */
  finishMoment(): void {
    const afterwards = this.#afterwards;
    if (afterwards === undefined) return;
    this.#afterwards = undefined;
    afterwards();
    this.#settle();
  }

  #begin(take: Take): void {
    const { manager, captureState } = this.#parts.machine;
    if (manager === undefined || captureState === undefined) {
      this.#refuseTake(new AfterimageError('unsupported', 'This machine cannot be checkpointed'));
    } else if (this.busy) {
      this.#refuseTake(new AfterimageError('state', 'A checkpoint is being saved already'));
    } else {
      // What the last checkpoint has left is done before the pause, not in it.
      manager.prepareHold();
      this.#prepared = take;
    }
  }

  #refuseTake(error: AfterimageError): void {
    this.#parts.say({ kind: 'take-failed', error: error.toPlain() });
  }

  #settle(): void {
    if (!this.#settling || this.#afterwards !== undefined) return;
    const { left, results } = this.#parts.disks.moment;
    if (left > 0) return;
    this.#settling = false;
    this.#parts.say({ kind: 'settled', results });
  }

  #answer(command: Asked): void {
    const { call } = command;
    try {
      this.#parts.say({ kind: 'answer', call, value: this.#do(command) });
    } catch (thrown) {
      this.#parts.say({ kind: 'refusal', call, error: AfterimageError.from(thrown).toPlain() });
    }
  }

  #do(command: Asked): MemoryCountsAnswer | undefined {
    const { manager } = this.#parts.machine;
    if (manager === undefined) throw new AfterimageError('unsupported', 'This machine has no memory manager');
    switch (command.kind) {
      case 'release':
        if (manager.holding) manager.release();
        return undefined;
      case 'virtualize':
        manager.virtualize(command.range);
        return undefined;
      case 'devirtualize':
        manager.devirtualize(command.range, command.options);
        return undefined;
      case 'share':
        manager.share(command.mode);
        return undefined;
      case 'scatter':
        manager.scatter(command.seed, command.range, 'concurrent');
        return undefined;
      case 'memory-counts': {
        const { counts, freeFrames, mapFrames, busy } = manager;
        return { counts: { ...counts }, freeFrames, mapFrames, busy };
      }
      default:
        return assertNever(command, 'command');
    }
  }
}
