// Checkpoints of a machine in its folder: taking, going back, deleting; which layers belong to them.
import { readFileSync } from 'node:fs';
import type {
  Comparison,
  RestoreArguments,
  Restored,
  TakeArguments,
  TakenCheckpoint,
  TreeVerification,
} from '../api/checkpoints.ts';
import type { GuestFiles } from '../api/control.ts';
import type { ConsoleSize } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Disks } from '../checkpoint/about.ts';
import { expired } from '../checkpoint/retention.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';
import type { MachineHost } from './machine-host.ts';
import { disksOf, type MachinePosition } from './machine-position.ts';
import { askToPowerOff, refuseUnlessAtPrompt, screenOf } from './machine-stop.ts';
import { FILE } from './machine-stores.ts';
import { chainLength, comparePages, retentionPolicy } from './machine-tree.ts';
import { verifyMachine } from './machine-verify.ts';

/** From so many files on a checkpoint is saved in full: each file of a chain is opened when it is restored. */
const LONGEST_CHAIN = 64;
const MINUTE = 60_000;

export class MachineCheckpoints {
  readonly #host: MachineHost;
  #taking: AbortController | undefined;
  #lastTake: Promise<unknown> = Promise.resolve();
  #automatic: NodeJS.Timeout | undefined;
  /** The checkpoint that the machine is going back to: what is taken before must not let go of it. */
  #goal: string | undefined;
  readonly #position: MachinePosition;

  constructor(host: MachineHost) {
    this.#host = host;
    this.#position = host.position;
  }

  /** @throws AfterimageError; the machine runs on */
  async take(given: TakeArguments): Promise<TakenCheckpoint> {
    if (this.#taking !== undefined) throw new AfterimageError('state', 'A checkpoint is being taken already');
    const taken = this.#take(given);
    this.#lastTake = taken.catch(() => undefined);
    return await taken;
  }

  /** For a checkpoint that is a step of something else: after the one that is being taken. */
  async #takeNext(given: TakeArguments): Promise<TakenCheckpoint> {
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
      await this.#host.diskJobs.refuseLongChains();
      const { record } = folder;
      const origin = given.origin ?? 'manual';
      const taken = await engine.checkpoint({
        tree,
        store: await stores.use(given.store ?? FILE),
        full: given.full === true || chainLength(tree, tree.current) >= LONGEST_CHAIN,
        about: {
          name: given.name ?? nameOfNow(),
          note: given.note ?? '',
          origin,
          machine: JSON.stringify(record),
          writer: `afterimage ${version()}`,
        },
        pending: given.pending ?? 'copy',
        screen: given.screen ?? screenOf(console, power.status.consoleSize),
        copyDisks: given.copyDisks === true,
        layers: this.#position.layers(),
        onProgress: progress => this.#host.setFact('taking', progress),
        signal: taking.signal,
      });
      this.#host.announce({ event: 'checkpoint', taken });
      void this.#host.diskJobs.tidy();
      if (origin === 'automatic') await this.retain();
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

  cancel(): void {
    this.#taking?.abort(new AfterimageError('state', 'The checkpoint was cancelled', { cancelled: true }));
  }

  /** Takes a checkpoint of the machine, standing still, and powers it off: the next start goes on from there. */
  async suspend(): Promise<void> {
    const { power, folder } = this.#host;
    const { paused } = power;
    if (!paused) power.pause();
    let id: string;
    try {
      ({ id } = await this.#takeNext({ name: `Suspended ${nameOfNow()}`, origin: 'manual' }));
      await folder.change({ process: { suspended: id } });
    } catch (thrown) {
      if (!paused && power.on) power.resume();
      throw thrown;
    }
    await power.cut();
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
    this.#position.refuseWhileDisksAreOpen();
    const { fresh, ...rest } = options;
    const { suspended } = folder.process;
    if (suspended !== undefined && fresh !== true) {
      // Whatever was written after the moment is not of this state.
      const reader = await this.#position.openToResume(suspended);
      await this.#position.moveTo(suspended, reader, await this.#position.prepareMove(reader));
      await this.#position.goOn(suspended, reader, rest);
      this.#collectSoon();
    } else {
      if (suspended !== undefined) await folder.change({ process: { suspended: undefined } });
      await this.#position.prepareTemporary();
      await power.start(rest);
    }
    this.#schedule();
  }

  /** @throws AfterimageError `state` when the guest cannot be asked or does not do it in time; then it goes on */
  async askToStop(timeoutSeconds: number): Promise<void> {
    const { power, folder, console } = this.#host;
    if (!power.on) return;
    if (power.paused) throw new AfterimageError('state', 'The machine is paused; resume it, or force it off');
    refuseUnlessAtPrompt(console);
    if (folder.record.automatic.beforeStop) await this.#takeNext({ name: 'Before power-off', origin: 'automatic' });
    await askToPowerOff({ console, over: power.over(), timeoutSeconds });
  }

  /** The present state is gone after it, unless it was kept. */
  async restore(given: RestoreArguments & { readonly guest?: GuestFiles }): Promise<Restored> {
    const startedAt = performance.now();
    const { power, folder } = this.#host;
    const { id, keepCurrent, paused, guest } = given;
    if (!power.on) this.#position.refuseWhileDisksAreOpen();
    // All that can be wrong with it is found before the present run ends.
    const reader = await this.#position.openToResume(id);
    let kept: string | undefined;
    this.#goal = id;
    try {
      // What waits for a page that cannot be read cannot be saved; going back is the way out of it.
      const stuck = power.status.pausedBy === 'page';
      if (keepCurrent === true || (folder.record.automatic.beforeRestore && power.on && !stuck)) {
        if (!power.on) throw new AfterimageError('state', 'The machine is off: it has no state to keep');
        const origin = keepCurrent === true ? 'manual' : 'automatic';
        ({ id: kept } = await this.#takeNext({ name: `Before going back, ${nameOfNow()}`, origin }));
      }
      const move = await this.#position.prepareMove(reader);
      try {
        await power.cut();
        await this.#position.moveTo(id, reader, move);
      } catch (thrown) {
        await this.#position.giveUpMove(move);
        throw thrown;
      }
    } catch (thrown) {
      await reader.close();
      throw thrown;
    } finally {
      this.#goal = undefined;
    }
    await this.#position.goOn(id, reader, { paused, guest });
    this.#schedule();
    const milliseconds = Math.round((performance.now() - startedAt) * 10) / 10;
    this.#collectSoon();
    return { id, ...(kept === undefined ? {} : { kept }), milliseconds };
  }

  /** Takes checkpoints off the list; their files and layers go in a job, as far as nothing else needs them. */
  async delete(id: string, subtree: boolean): Promise<readonly string[]> {
    const tree = await this.#host.tree();
    const { suspended } = this.#host.folder.process;
    const going = subtree ? subtreeOf(tree, id) : [tree.node(id).id];
    if (suspended !== undefined && going.includes(suspended)) {
      throw new AfterimageError('state', 'The machine is suspended there; start it first', { id: suspended });
    }
    if (this.#goal !== undefined && going.includes(this.#goal)) {
      throw new AfterimageError('state', 'The machine is about to go back there', { id: this.#goal });
    }
    await this.#lettingGo(going, async () => {
      if (subtree) await tree.deleteSubtree(id, { merge: 'later' });
      else await tree.delete(id, { merge: 'later' });
    });
    this.#host.announce({ event: 'tree' });
    this.#cleanUp(tree.nodes.length === 0 ? 'all' : 'deleted checkpoints');
    return going;
  }

  /** Lets automatic checkpoints go as the machine's policy wants it. */
  async retain(): Promise<void> {
    const tree = await this.#host.tree();
    const policy = retentionPolicy(this.#host.folder.record.automatic.retention);
    const { suspended } = this.#host.folder.process;
    const going = expired(tree.nodes, policy, tree.current).filter(id => id !== suspended && id !== this.#goal);
    if (going.length === 0) return;
    await this.#lettingGo(going, async () => {
      for (const id of going) await tree.delete(id, { merge: 'later' });
    });
    this.#host.announce({ event: 'tree' });
    this.#cleanUp('old automatic checkpoints', 'when-worth');
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

  async compare(from: string, to: string): Promise<Comparison> {
    const tree = await this.#host.tree();
    const [one, other] = [await tree.open(from), await tree.open(to)];
    try {
      const { changed, total } = comparePages(one, other);
      const disks = await this.#compareDisks(await disksOf(one), await disksOf(other));
      return { from, to, changedPages: changed, totalPages: total, disks };
    } finally {
      await one.close();
      await other.close();
    }
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

  /** The run is over. */
  async ended(): Promise<void> {
    clearTimeout(this.#automatic);
    this.#host.setFact('absentPages', undefined);
    // What was deleted while the machine built on it goes now.
    const tree = await this.#host.tree().catch(() => undefined);
    if (tree !== undefined && tree.hiddenBytes > 0) this.#cleanUp('deleted checkpoints', 'when-worth');
    const { temporary } = this.#host.folder.process;
    if (temporary === undefined) return;
    const { layers } = this.#host;
    const left: string[] = [];
    for (const layer of Object.values(temporary)) left.push(...(await layers.chain(layer)));
    await this.#host.folder.change(({ process: { garbage } }) => ({
      process: { temporary: undefined, garbage: layers.withSuspects(garbage, left) },
    }));
    await layers.collect();
  }

  /** The next automatic checkpoint; to be called when the machine starts and when its configuration changes. */
  schedule(): void {
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#automatic);
    const { everyMinutes } = this.#host.folder.record.automatic;
    if (everyMinutes === 0 || !this.#host.power.on) return;
    this.#automatic = setTimeout(() => {
      const { power } = this.#host;
      const due = power.on && !power.paused && this.#taking === undefined;
      const taken = due ? this.take({ name: nameOfNow(), origin: 'automatic' }) : Promise.resolve();
      // Its failure has been announced.
      taken.catch(() => undefined).finally(() => this.#schedule());
    }, everyMinutes * MINUTE);
    this.#automatic.unref();
  }

  /** Nobody waits for the layers that were left. */
  #collectSoon(): void {
    this.#host.layers.collect().then(
      () => this.#host.announce({ event: 'disks' }),
      (thrown: unknown) => this.#host.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() }),
    );
  }

  /** Deletes checkpoints; their layers are known as suspects before, for a crash, and after, when nobody needs them. */
  async #lettingGo(ids: readonly string[], deletion: () => Promise<void>): Promise<void> {
    const layers: string[] = [];
    for (const id of ids) {
      const own = await this.#host.layers.ofCheckpoint(id).catch(() => []);
      for (const { path: layer } of own) layers.push(...(await this.#host.layers.chain(layer)));
    }
    await this.#host.layers.suspect(layers);
    await deletion();
    // A collection that ran meanwhile has found them needed, and may have forgotten them.
    await this.#host.layers.suspect(layers);
  }

  #cleanUp(subject: string, merge: 'now' | 'when-worth' = 'now'): void {
    const { jobs, layers } = this.#host;
    const { result } = jobs.start({ kind: 'merge', subject }, async ({ signal, progress, outcome }) => {
      const tree = await this.#host.tree();
      const freed = await tree.collapse({
        merge,
        cancellation: signal,
        onProgress: ({ done, total }) => progress(done, total),
      });
      const deleted = await layers.collect();
      void this.#host.diskJobs.tidy();
      outcome(`${Math.max(0, freed)} bytes of checkpoints and ${deleted.length} layers of disks freed`);
    });
    result.then(
      () => {
        this.#host.announce({ event: 'tree' });
        this.#host.announce({ event: 'disks' });
      },
      // The job says so.
      () => undefined,
    );
  }

  async #compareDisks(from: Disks, to: Disks): Promise<Comparison['disks']> {
    const { layers } = this.#host;
    const facts = new Map((await layers.facts()).map(one => [one.path, one]));
    const result: { device: string; changedBytes?: number; size: number }[] = [];
    for (const { device, layer, size } of to.disks) {
      const other = from.disks.find(one => one.device === device)?.layer;
      if (layer === undefined || other === undefined) {
        result.push({ device, size });
        continue;
      }
      const [one, two] = [await layers.chain(layer), await layers.chain(other)];
      const apart = [...one.filter(name => !two.includes(name)), ...two.filter(name => !one.includes(name))];
      const shared = one.some(name => two.includes(name));
      const changedBytes = apart.reduce((sum, name) => sum + (facts.get(name)?.allocatedSize ?? 0), 0);
      result.push({ device, size, ...(shared ? { changedBytes } : {}) });
    }
    return result;
  }
}

function subtreeOf(tree: CheckpointTree, id: string): string[] {
  const ids = [tree.node(id).id];
  for (let at = 0; at < ids.length; at += 1) {
    for (const node of tree.nodes) if (node.parent === ids[at]) ids.push(node.id);
  }
  return ids;
}

/** As a person writes it, local time. */
function nameOfNow(): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

let known: string | undefined;

function version(): string {
  if (known === undefined) {
    try {
      known = String(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version);
    } catch {
      known = 'unknown';
    }
  }
  return known;
}
