// How runs of a machine begin and end: power on, suspend, going back to a checkpoint, asking the guest to power off.
import type { RestoreArguments, Restored } from '../api/checkpoints.ts';
import type { GuestFiles } from '../api/control.ts';
import type { ConsoleSize } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';
import { nameOfNow } from './checkpoint-names.ts';
import type { MachineHost } from './machine-host.ts';
import { askToPowerOff, refuseUnlessAtPrompt } from './machine-stop.ts';

export class MachineRuns {
  readonly #host: MachineHost;
  #goal: string | undefined;

  constructor(host: MachineHost) {
    this.#host = host;
  }

  /** The checkpoint that the machine is going back to: what is taken before must not let go of it. */
  get goal(): string | undefined {
    return this.#goal;
  }

  /** Takes a checkpoint of the machine, standing still, and powers it off: the next start goes on from there. */
  async suspend(): Promise<void> {
    const { power, folder } = this.#host;
    const { paused } = power;
    if (!paused) power.pause();
    let id: string;
    try {
      ({ id } = await this.#host.checkpoints.takeNext({ name: `Suspended ${nameOfNow()}`, origin: 'manual' }));
      this.#refuseIfGoneOn();
      await folder.change({ process: { suspended: id } });
    } catch (thrown) {
      if (!paused && power.on) power.resume();
      throw thrown;
    }
    if (power.status.state === 'running') await folder.change({ process: { suspended: undefined } });
    this.#refuseIfGoneOn();
    await power.cut();
  }

  /** What it has done since the moment would be lost. */
  #refuseIfGoneOn(): void {
    if (this.#host.power.status.state !== 'running') return;
    throw new AfterimageError('state', 'The machine was told to go on while it was being suspended');
  }

  /** Power on: from where it was suspended, if it was. */
  async start(options: {
    readonly fresh?: boolean | undefined;
    readonly paused?: boolean | undefined;
    readonly guest?: GuestFiles | undefined;
    readonly consoleSize?: ConsoleSize | undefined;
  }): Promise<void> {
    const { folder, power } = this.#host;
    if (power.on) throw new AfterimageError('state', 'The machine is on already');
    this.#host.position.refuseWhileDisksAreOpen();
    const { fresh, ...rest } = options;
    const { suspended } = folder.process;
    if (suspended !== undefined && fresh !== true) {
      // Whatever was written after the moment is not of this state.
      const reader = await this.#host.position.openToResume(suspended);
      await this.#move(suspended, reader);
      await this.#host.position.goOn(suspended, reader, rest);
      this.#collectSoon();
    } else {
      if (suspended !== undefined) await folder.change({ process: { suspended: undefined } });
      await this.#host.position.prepareTemporary();
      await power.start(rest);
    }
    this.#host.checkpoints.schedule();
  }

  /** @throws AfterimageError `state` when the guest cannot be asked or does not do it in time; then it goes on */
  async askToStop(timeoutSeconds: number): Promise<void> {
    const { power, folder, console } = this.#host;
    if (!power.on) return;
    if (power.paused) throw new AfterimageError('state', 'The machine is paused; resume it, or force it off');
    refuseUnlessAtPrompt(console);
    if (folder.record.automatic.beforeStop)
      await this.#host.checkpoints.takeNext({ name: 'Before power-off', origin: 'automatic' });
    await askToPowerOff({ console, over: power.over(), timeoutSeconds });
  }

  /** The present state is gone after it, unless it was kept. */
  async restore(given: RestoreArguments & { readonly guest?: GuestFiles }): Promise<Restored> {
    const startedAt = performance.now();
    const { power, folder } = this.#host;
    const { id, keepCurrent, paused, guest } = given;
    if (!power.on) this.#host.position.refuseWhileDisksAreOpen();
    // All that can be wrong with it is found before the present run ends.
    const reader = await this.#host.position.openToResume(id);
    let kept: string | undefined;
    this.#goal = id;
    try {
      // What waits for a page that cannot be read cannot be saved; going back is the way out of it.
      const stuck = power.status.pausedBy === 'page';
      if (keepCurrent === true || (folder.record.automatic.beforeRestore && power.on && !stuck)) {
        if (!power.on) throw new AfterimageError('state', 'The machine is off: it has no state to keep');
        const origin = keepCurrent === true ? 'manual' : 'automatic';
        ({ id: kept } = await this.#host.checkpoints.takeNext({ name: `Before going back, ${nameOfNow()}`, origin }));
      }
      await this.#move(id, reader);
    } catch (thrown) {
      await reader.close();
      throw thrown;
    } finally {
      this.#goal = undefined;
    }
    await this.#host.position.goOn(id, reader, { paused, guest });
    this.#host.checkpoints.schedule();
    const milliseconds = Math.round((performance.now() - startedAt) * 10) / 10;
    this.#collectSoon();
    return { id, ...(kept === undefined ? {} : { kept }), milliseconds };
  }

  /** Ends what runs, and stands at the checkpoint from here on. When that fails nothing of it is left, the reader is closed. */
  async #move(id: string, reader: CheckpointReader): Promise<void> {
    const { position, power } = this.#host;
    try {
      const move = await position.prepareMove(reader);
      try {
        await power.cut();
        await position.moveTo(id, reader, move);
      } catch (thrown) {
        await position.giveUpMove(move);
        throw thrown;
      }
    } catch (thrown) {
      await reader.close();
      throw thrown;
    }
  }

  /** The run is over. */
  async ended(): Promise<void> {
    this.#host.checkpoints.unschedule();
    this.#host.setFact('absentPages', undefined);
    // What was deleted while the machine built on it goes now.
    const tree = await this.#host.tree().catch(() => undefined);
    if (tree !== undefined && tree.hiddenBytes > 0) this.#host.deletions.cleanUp('deleted checkpoints', 'when-worth');
    await this.#host.diskSet.dropTemporary();
  }

  /** Nobody waits for the layers that were left. */
  #collectSoon(): void {
    this.#host.layers.collect().then(
      () => this.#host.announce({ event: 'disks' }),
      (thrown: unknown) => this.#host.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() }),
    );
  }
}
