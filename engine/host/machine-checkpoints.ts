// Checkpoints of a machine in its folder: taken by wish and by the clock, moved between stores, verified.
import type { TakeArguments, TakenCheckpoint, TreeVerification } from '../api/checkpoints.ts';
import { AfterimageError } from '../base/errors.ts';
import { nameOfNow, version } from './checkpoint-names.ts';
import type { MachineHost } from './machine-host.ts';
import { screenOf } from './machine-stop.ts';
import { FILE } from './machine-stores.ts';
import { verifyMachine } from './machine-verify.ts';

const MINUTE = 60_000;

export class MachineCheckpoints {
  readonly #host: MachineHost;
  #taking: AbortController | undefined;
  #lastTake: Promise<unknown> = Promise.resolve();
  #automatic: NodeJS.Timeout | undefined;

  constructor(host: MachineHost) {
    this.#host = host;
  }

  /** @throws AfterimageError; the machine runs on */
  async take(given: TakeArguments): Promise<TakenCheckpoint> {
    if (this.#taking !== undefined) throw new AfterimageError('state', 'A checkpoint is being taken already');
    const taken = this.#take(given);
    this.#lastTake = taken.catch(() => undefined);
    return await taken;
  }

  /** For a checkpoint that is a step of something else: after the one that is being taken. */
  async takeNext(given: TakeArguments): Promise<TakenCheckpoint> {
    while (this.#taking !== undefined) await this.#lastTake;
    return await this.take(given);
  }

  async #take(given: TakeArguments): Promise<TakenCheckpoint> {
    const { folder, power, stores, console } = this.#host;
    const { engine } = power;
    const taking = new AbortController();
    this.#taking = taking;
    try {
      const tree = await this.#host.tree();
      const name = given.name ?? nameOfNow();
      const origin = given.origin ?? 'manual';
      // It may have to wait for layers to be merged.
      this.#host.setFact('taking', { phase: 'preparing', name, origin, donePages: 0, totalPages: 0 });
      await this.#host.diskJobs.refuseLongChains();
      taking.signal.throwIfAborted();
      const { record } = folder;
      const taken = await engine.checkpoint({
        tree,
        store: await stores.use(given.store ?? FILE),
        full: given.full === true,
        about: {
          name,
          note: given.note ?? '',
          origin,
          machine: JSON.stringify(record),
          writer: `afterimage ${version()}`,
        },
        pending: given.pending ?? 'copy',
        screen: given.screen ?? screenOf(console, power.status.consoleSize),
        copyDisks: given.copyDisks === true,
        layers: this.#host.position.layers(),
        onProgress: progress => this.#host.setFact('taking', progress),
        signal: taking.signal,
      });
      this.#host.announce({ event: 'checkpoint', taken });
      void this.#host.diskJobs.tidy();
      if (origin === 'automatic') await this.#retain();
      return taken;
    } catch (thrown) {
      const error = AfterimageError.from(thrown);
      this.#host.announce({ event: 'checkpoint-failed', error: error.toPlain() });
      throw error;
    } finally {
      this.#taking = undefined;
      this.#host.setFact('taking', undefined);
      this.#host.announce({ event: 'tree' });
      this.#host.announce({ event: 'disks' });
    }
  }

  /** The checkpoint is there, whatever becomes of earlier ones. */
  async #retain(): Promise<void> {
    try {
      await this.#host.deletions.retain();
    } catch (thrown) {
      this.#host.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() });
    }
  }

  cancel(): void {
    this.#taking?.abort(new AfterimageError('state', 'The checkpoint was cancelled', { cancelled: true }));
  }

  async persist(id: string, store: string): Promise<void> {
    const tree = await this.#host.tree();
    const name = await this.#host.stores.use(store);
    await this.#host.jobs.run({ kind: 'persist', subject: tree.node(id).name }, async ({ signal, progress }) => {
      await tree.persist(id, name, {
        cancellation: signal,
        onProgress: ({ done, total }) => progress(done, total),
      });
    });
    this.#host.announce({ event: 'tree' });
  }

  async verify(deep: boolean): Promise<TreeVerification> {
    return await this.#host.jobs.run(
      { kind: 'verify', subject: 'checkpoints' },
      async ({ signal, progress, outcome }) => {
        const found = await verifyMachine(this.#host, {
          blocks: deep,
          cancellation: signal,
          onProgress: ({ done, total }) => progress(done, total),
        });
        const { length } = found.problems;
        outcome(length === 0 ? 'everything is in order' : `${length} ${length === 1 ? 'problem' : 'problems'}`);
        return found;
      },
    );
  }

  /** Sets the clock of automatic checkpoints: when the machine starts and when its configuration changes. */
  schedule(): void {
    this.unschedule();
    const { everyMinutes } = this.#host.folder.record.automatic;
    if (everyMinutes === 0 || !this.#host.power.on) return;
    this.#automatic = setTimeout(() => {
      const { power } = this.#host;
      const due = power.on && !power.paused && this.#taking === undefined;
      const taken = due ? this.take({ name: nameOfNow(), origin: 'automatic' }) : Promise.resolve();
      // Its failure has been announced.
      taken.catch(() => undefined).finally(() => this.schedule());
    }, everyMinutes * MINUTE);
    this.#automatic.unref();
  }

  unschedule(): void {
    clearTimeout(this.#automatic);
  }
}
