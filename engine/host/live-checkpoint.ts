// A checkpoint of the running machine, step by step as DESIGN 5 has it: prepare, moment, save, complete, or take all back.
import type { PendingStrategy, ScreenText, TakenCheckpoint } from '../api/checkpoints.ts';
import type { TakeProgress } from '../api/machine.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Disks, Requests } from '../checkpoint/about.ts';
import type { Hex } from '../checkpoint/format.ts';
import type { CheckpointTree, TreeDraft } from '../checkpoint/tree.ts';
import type { Layer, LayerFormat } from '../disk/chain/layer.ts';
import { LiveDisk, type Switch } from '../disk/chain/live-disk.ts';
import { createOverlay } from '../disk/chain/overlay.ts';
import type { Disk } from '../disk/disk.ts';
import { copyLayer } from '../disk/jobs/copy.ts';
import { Job } from '../disk/jobs/job.ts';
import type { MemoryTables } from '../memory/tables.ts';
import { WorkingSet } from '../memory/working-set.ts';
import { Bases } from './bases.ts';
import type { PendingResult } from './disk-link.ts';
import type { HartPort } from './hart-port.ts';
import type { Pager } from './pager.ts';
import { makePoolPolite } from './pool-priority.ts';
import { Saver } from './saver.ts';

/** Where a machine's layers are; whoever owns the machine's folder says it. Layer paths are as `Layer.path`. */
export interface LayerSource {
  /** A path for a new layer of a disk, beside the active one; nothing is there. */
  fresh(disk: number, format: LayerFormat): Promise<string>;
  /** Makes durable which layers the machine's disks are. */
  record(active: readonly { readonly disk: number; readonly file: string }[]): Promise<void>;
  /** The path relative to the machine's folder. */
  inMachine(disk: number, layer: string): string;
  /** What is written to the disk is dropped at power-off (B6). */
  isTemporary(disk: number): boolean;
}

export interface TakeRequest {
  readonly tree: CheckpointTree;
  /** Name of the tree's store. */
  readonly store: string;
  readonly full: boolean;
  readonly about: {
    readonly name: string;
    readonly note: string;
    readonly origin: 'manual' | 'automatic';
    /** The machine's settings as JSON. */
    readonly machine: string;
    readonly writer: string;
  };
  readonly pending: PendingStrategy;
  readonly screen?: ScreenText;
  /** Give the checkpoint its own copies of the frozen layers (C12). */
  readonly copyDisks?: boolean;
  readonly layers: LayerSource;
  readonly onProgress: (progress: TakeProgress) => void;
  readonly signal: AbortSignal;
}

export interface LiveCheckpointParts {
  readonly disks: readonly Disk[];
  readonly hart: HartPort;
  readonly tables: MemoryTables;
  /** Of a lazily restored machine. */
  readonly pager?: Pick<Pager, 'require'>;
  /** Commits the active layer of a disk into the one below, unless one of them is `needed`. */
  readonly foldBack: (disk: number) => Promise<void>;
}

interface Switched {
  readonly index: number;
  readonly live: LiveDisk;
  /** The active layer until the moment. */
  readonly parent: Layer;
  readonly overlay: Layer;
  result: Switch | undefined;
}

const STATUS_CODES = { ok: 0, 'io-error': 1, unsupported: 2 } as const;

/** The checkpoints of one run of a machine; one is taken at a time. On the I/O thread. */
export class LiveCheckpoints {
  readonly bases = new Bases();
  readonly #parts: LiveCheckpointParts;
  /** Layers that checkpoints of this run stand on. */
  #standing: readonly { readonly layer: string; readonly tree: CheckpointTree; readonly id: Hex }[] = [];
  /** Those that the checkpoint being taken stands on. */
  #freezing: readonly string[] = [];
  /** Layers that were switched away from for a checkpoint that failed. */
  readonly #left = new Set<Layer>();
  readonly #folding = new Set<LiveDisk>();
  #taking: AbortController | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** Resolves when the requests have ended that were pending at the last moment, which may have been given up since. */
  #settled: Promise<unknown> = Promise.resolve();
  #atMoment: (() => void) | undefined;

  constructor(parts: LiveCheckpointParts) {
    this.#parts = parts;
  }

  get busy(): boolean {
    return this.#taking !== undefined;
  }

  /**
   * Layers that checkpoints of this run stand on, as long as they are listed, also the one being taken: no job may change
   * them. Under `LiveDisk.exclusively` this is how it stays.
   */
  get needed(): readonly string[] {
    this.#standing = this.#standing.filter(({ tree, id }) => tree.has(id));
    return [...this.#standing.map(({ layer }) => layer), ...this.#freezing];
  }

  /** The mark of the moment has come in the stream of disk requests: in the same turn the disks are switched (C2, C6). */
  reachMoment(): void {
    this.#atMoment?.();
  }

  /** Gives up the checkpoint being taken; its `take` fails with this error, the machine goes on. */
  abort(error: AfterimageError): void {
    this.#taking?.abort(error);
  }

  /** Resolves when none is being taken, nor taken back. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** @throws AfterimageError; then nothing is listed, and the machine runs on unharmed (DESIGN 5.5) */
  async take(request: TakeRequest): Promise<TakenCheckpoint> {
    if (this.busy) throw new AfterimageError('state', 'A checkpoint is being taken already');
    const taking = new AbortController();
    this.#taking = taking;
    const follow = () => taking.abort(request.signal.reason);
    request.signal.addEventListener('abort', follow);
    try {
      request.signal.throwIfAborted();
      const result = this.#take({ ...request, signal: taking.signal });
      this.#last = result.catch(() => undefined);
      return await result;
    } finally {
      request.signal.removeEventListener('abort', follow);
      this.#taking = undefined;
    }
  }

  async #take(request: TakeRequest): Promise<TakenCheckpoint> {
    const startedAt = performance.now();
    const { tree, store, signal, about } = request;
    const progress = (phase: TakeProgress['phase'], donePages = 0, totalPages = 0, pause?: number) => {
      const known = pause === undefined ? {} : { pauseMicroseconds: pause };
      request.onProgress({ phase, name: about.name, origin: about.origin, donePages, totalPages, ...known });
    };
    progress('preparing');
    makePoolPolite();
    await unlessAborted(signal, this.#settled);
    const durable = tree.isDurable(store);
    const latest = request.full ? undefined : this.bases.toBuildOn(durable);
    // One that builds on what is lost would be lost, too.
    const base = latest !== undefined && (await tree.isThere(latest.id)) ? latest : undefined;
    const ram = this.#parts.tables.ramPages * 4096;
    const draft = await tree.take({
      store,
      ...(base === undefined ? {} : { base: base.id }),
      spaces: [{ kind: 'memory', name: 'ram', bytes: ram }],
    });
    let held: Held | undefined;
    try {
      const workingSet = new WorkingSet(this.#parts.tables);
      held = await this.#hold(request, base?.epoch ?? 0);
      const { moment, switched } = held;
      const pause = moment.pauseMicroseconds;
      const saver = new Saver({
        tables: this.#parts.tables,
        writer: draft.writer,
        since: base?.epoch ?? 0,
        signal,
        bring: async pages => await this.#parts.pager?.require(pages),
        onProgress: (done, total) => progress('saving', done, total, pause),
      });
      held.saver = saver;
      await saver.save();
      const results = await saver.saveUntil(held.settled);
      await saver.saveLate();
      await this.#release(held);
      progress('completing', 1, 1, pause);
      await unlessAborted(signal, Promise.all(switched.map(one => one.result!.frozen)));
      const disks = await this.#describeDisks(request, held);
      const written = await draft.complete({
        about: { ...about, takenAt: held.takenAt, pauseMicroseconds: pause, pendingRequests: moment.pendingRequests },
        state: moment.state,
        disks,
        requests: requestsOf(results),
        workingSet: { runs: workingSet.finish() },
        ...(request.screen === undefined ? {} : { screen: screenOf(request.screen) }),
      });
      const standing = switched.map(({ parent }) => ({ layer: parent.path, tree, id: draft.id }));
      this.#standing = [...this.#standing, ...standing];
      this.#freezing = [];
      this.bases.add(tree, { id: draft.id, epoch: moment.epoch, durable });
      const { parent } = tree.node(draft.id);
      return {
        id: draft.id,
        ...(parent === undefined ? {} : { parent }),
        name: about.name,
        pauseMicroseconds: pause,
        durationMilliseconds: Math.round((performance.now() - startedAt) * 10) / 10,
        pages: written.pages,
        zeroPages: written.zeroPages,
        bytes: written.bytes,
        pendingRequests: moment.pendingRequests,
        incremental: base !== undefined,
      };
    } catch (thrown) {
      await this.#takeBack(draft, held);
      throw signal.aborted ? AfterimageError.from(signal.reason) : thrown;
    }
  }

  /** Prepares the disks, and has the hart take its moment. */
  async #hold(request: TakeRequest, since: number): Promise<Held> {
    const lives = this.#parts.disks.map(disk => {
      if (disk instanceof LiveDisk) return disk;
      throw new AfterimageError('unsupported', 'A disk that is kept in memory cannot be part of a checkpoint');
    });
    return await exclusively(lives, async () => {
      this.#freezing = lives.filter(live => !live.readonly).map(live => live.active.path);
      const switched = await this.#prepare(request, lives);
      // Nothing waits in this turn: requests that come after the mark find the overlays.
      const atMoment = new Promise<void>(resolve => {
        this.#atMoment = () => {
          for (const one of switched) one.result = one.live.switchTo(one.overlay);
          this.#atMoment = undefined;
          resolve();
        };
      });
      try {
        const asked = this.#parts.hart.take({ since, pending: request.pending });
        const moment = await asked.moment;
        const takenAt = Date.now();
        await atMoment;
        // Failures to freeze are met where they are awaited.
        for (const one of switched) one.result?.frozen.catch(() => undefined);
        const settled = asked.settled.then(({ results }) => results);
        this.#settled = settled.catch(() => undefined);
        return { moment, settled, switched, takenAt, copies: [], saver: undefined, released: false };
      } catch (thrown) {
        this.#atMoment = undefined;
        // Once the machine writes to the overlays they are its disks.
        if (switched.some(({ result }) => result !== undefined)) this.#foldBack(switched);
        else await this.#unprepare(request, switched).catch(() => undefined);
        throw thrown;
      }
    });
  }

  /** Creates the overlays, durable, and has them recorded while the machine runs (C1). */
  async #prepare(request: TakeRequest, lives: readonly LiveDisk[]): Promise<Switched[]> {
    const switched: Switched[] = [];
    try {
      for (const [index, live] of lives.entries()) {
        if (live.readonly) continue;
        request.signal.throwIfAborted();
        const parent = live.active;
        const overlay = await createOverlay(parent, await request.layers.fresh(index, 'qcow2'));
        switched.push({ index, live, parent, overlay, result: undefined });
      }
      // An empty overlay has its parent's content, so a machine that is cut off here loses nothing.
      if (switched.length > 0) {
        await request.layers.record(switched.map(({ index, overlay }) => ({ disk: index, file: overlay.path })));
      }
      return switched;
    } catch (thrown) {
      await this.#unprepare(request, switched).catch(() => undefined);
      throw thrown;
    }
  }

  async #unprepare(request: TakeRequest, switched: readonly Switched[]): Promise<void> {
    if (switched.length === 0) return;
    await request.layers.record(switched.map(({ index, parent }) => ({ disk: index, file: parent.path })));
    for (const { overlay } of switched) {
      await overlay.close();
      await overlay.folder.remove(overlay.path);
    }
  }

  async #release(held: Held): Promise<void> {
    if (held.released) return;
    held.released = true;
    await this.#parts.hart.call({ kind: 'release' }).catch(thrown => {
      // A machine that has ended holds nothing.
      if (!(thrown instanceof AfterimageError && thrown.kind === 'state')) throw thrown;
    });
  }

  async #takeBack(draft: TreeDraft, held: Held | undefined): Promise<void> {
    // Saver first: the hart may wait for it.
    held?.saver?.abandon();
    await draft.abort();
    this.#freezing = [];
    if (held === undefined) return;
    await this.#release(held).catch(() => undefined);
    for (const { folder, path } of held.copies) await folder.remove(path).catch(() => undefined);
    this.#foldBack(held.switched);
  }

  #foldBack(switched: readonly Switched[]): void {
    for (const { index, live, parent } of switched) {
      this.#left.add(parent);
      void this.#fold(index, live);
    }
  }

  /** The overlays of checkpoints that failed go back into the layers below, in the background. */
  async #fold(index: number, live: LiveDisk): Promise<void> {
    if (this.#folding.has(live)) return;
    this.#folding.add(live);
    try {
      for (;;) {
        const { active } = live;
        const below = active.backing;
        if (below === undefined || !this.#left.has(below)) return;
        await this.#parts.foldBack(index);
        // Refused, cancelled or failed: the chain is one layer longer then, and nothing is lost.
        if (live.active === active) return;
      }
    } finally {
      this.#folding.delete(live);
    }
  }

  async #describeDisks(request: TakeRequest, { switched, copies }: Held): Promise<Disks> {
    const { layers } = request;
    const disks: Disks['disks'][number][] = [];
    for (const [index, disk] of this.#parts.disks.entries()) {
      const frozen = switched.find(one => one.index === index)?.parent ?? (disk as LiveDisk).active;
      const copy = request.copyDisks === true && !disk.readonly ? await this.#copy(request, index, frozen) : undefined;
      if (copy !== undefined) copies.push({ folder: frozen.folder, path: copy });
      disks.push({
        device: `disk${index}`,
        layer: layers.inMachine(index, copy ?? frozen.path),
        format: frozen.format,
        size: frozen.size,
        ownCopy: copy !== undefined,
        temporary: layers.isTemporary(index),
        space: undefined,
      });
    }
    return { disks };
  }

  async #copy(request: TakeRequest, disk: number, layer: Layer): Promise<string> {
    const to = await request.layers.fresh(disk, layer.format);
    const clock = {
      now: () => performance.now(),
      wait: (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds)),
    };
    const job = new Job('copy', clock, () => undefined);
    const cancel = () => job.cancel();
    request.signal.addEventListener('abort', cancel);
    try {
      await job.run(async () => {
        await copyLayer(layer, to, { sparse: true }, job);
      });
      return to;
    } finally {
      request.signal.removeEventListener('abort', cancel);
    }
  }
}

interface Held {
  readonly moment: Awaited<ReturnType<HartPort['take']>['moment']>;
  readonly settled: Promise<readonly PendingResult[]>;
  readonly switched: readonly Switched[];
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  /** Of frozen layers, made for this checkpoint (C12). */
  readonly copies: Pick<Layer, 'folder' | 'path'>[];
  saver: Saver | undefined;
  released: boolean;
}

/** Nobody else changes the shape of these chains meanwhile. */
async function exclusively<Result>(disks: readonly LiveDisk[], step: () => Promise<Result>): Promise<Result> {
  const [first, ...rest] = disks;
  if (first === undefined) return await step();
  return await first.exclusively(() => exclusively(rest, step));
}

function requestsOf(results: readonly PendingResult[]): Requests {
  return {
    requests: results.map(({ disk, request, status }) => {
      return { device: `disk${disk}`, tag: request, status: STATUS_CODES[status] };
    }),
  };
}

function screenOf({ columns, rows, lines }: ScreenText) {
  return { columns, rows, lines: [...lines], palette: undefined };
}

/** The promise's result, or the reason of the abort when that comes first. */
function unlessAborted<Result>(signal: AbortSignal, promise: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
