// Commit: a layer's content goes into the layer below, and the layer out of the chain (C13).
import { AfterimageError } from '../../base/errors.ts';
import { BufferPool } from '../buffers.ts';
import { carryDown, carryUp } from '../chain/bitmaps.ts';
import type { Layer } from '../chain/layer.ts';
import type { LiveDisk } from '../chain/live-disk.ts';
import { layersFrom } from '../chain/open.ts';
import { createOverlay, type OverlayOptions } from '../chain/overlay.ts';
import type { Job } from './job.ts';
import { Journal } from './journal.ts';
import { PIECE_BYTES, Pipeline, piecesOf, rangesOf } from './ranges.ts';
import { pivot } from './rebase.ts';
import { resizeDisk } from './resize.ts';
import { refuseOverlays, settleJobs } from './resume.ts';

/** What is left of an overlay is folded in while the machine's requests wait when it is no more than this. */
const LAST_FOLD_BYTES = 1024 * 1024;
/** A machine that writes faster than we fold is not chased for ever: then it waits for the rest. */
const MOST_FOLDS = 8;

export interface CommitParts {
  readonly live: LiveDisk;
  readonly job: Job;
  /** A name in the folder that nothing has, for an overlay. */
  readonly newName: () => string;
  /** Makes durable that the machine's disk is now the file of that name. Called before the switch it is for. */
  readonly record: (active: string) => Promise<void>;
  /**
   * Why a layer must not be changed or removed; undefined when nobody needs it (the chain model knows). Asked again when
   * checkpoints may have been taken since: under `live.exclusively` the answer must be up to date.
   */
  readonly needed: (path: string) => string | undefined;
  readonly overlay?: OverlayOptions;
  /** Leave the machine on an overlay: its writes since then are not folded in. */
  readonly keepOverlay?: boolean;
}

/** With the journal that the job keeps. */
export type Noted = CommitParts & { readonly journal: Journal };

/**
 * Commits a layer of a running machine into the one below it. When the layer is the active one, new overlays take the
 * machine's writes meanwhile and are folded in as well, until the layer below is the active one.
 *
 * A failure or cancel leaves a chain with the same content, perhaps with an overlay more. The layer below alone means
 * nothing from the beginning of a commit to its end. To resume after a crash is to commit the same layer again.
 * Errors: `state` when someone else needs one of the two, `usage` when there is nothing below, `unsupported` for a layer
 * with internal snapshots.
 */
export async function commit(parts: CommitParts, layer: Layer): Promise<void> {
  const base = layer.backing;
  if (base === undefined) {
    throw new AfterimageError('usage', 'There is no layer below to commit into', { file: layer.path });
  }
  for (const path of [layer.path, base.path]) refuseNeeded(parts, path);
  refuseSnapshots(layer);
  const settle = () =>
    settleJobs(layer.folder, layersFrom(parts.live.active), path => parts.needed(path) !== undefined);
  // What an earlier job has left may stand on the base.
  await settle();
  await refuseOverlays(layer.folder, base.path, [layer.path]);
  const record = { kind: 'commit', layer: layer.path, base: base.path, spare: [] } as const;
  await Journal.during(layer.folder, record, journal => commitInto({ ...parts, journal }, layer, base));
  // An interrupted one that this one has brought to its end.
  await settle();
}

async function commitInto(parts: Noted, layer: Layer, base: Layer): Promise<void> {
  const { live, job, journal } = parts;
  const wasActive = await live.exclusively(async () => {
    // Whoever took a checkpoint since the commit began stands on the layer. From here on nobody new can.
    for (const path of [layer.path, base.path]) refuseNeeded(parts, path);
    const active = live.active === layer;
    if (active) await switchAway(parts);
    return active;
  });
  // Of an earlier switch, writes may still not be durable in a layer that has been left.
  for (const one of [layer, base]) await live.freezeAgain(one);
  try {
    await prepareBase(base, layer);
    journal.keep();
    await copyDown(layer, base, job);
    job.enter('ready');
    await journal.addSpare(layer.path);
    await live.exclusively(async () => {
      job.enter('pivoting');
      await pivotAbove(live, layer, base);
    });
    await drop(layer);
    if (wasActive && parts.keepOverlay !== true) await foldIn(parts, base);
  } finally {
    if (live.active !== base) base.freeze();
  }
}

/** Commits the overlays that took writes meanwhile, and makes `base` active. */
export async function foldIn(parts: Noted, base: Layer): Promise<void> {
  const { live, job, journal } = parts;
  for (let folds = 0; ; folds += 1) {
    const overlay = live.active;
    // Someone has put another overlay on top, for a checkpoint: then this is as short as the chain gets.
    const left = () => live.active !== overlay || parts.needed(overlay.path) !== undefined;
    if (overlay.backing !== base || left()) return;
    await journal.note({ layer: overlay.path });
    if (folds >= MOST_FOLDS || (await bytesIn(overlay)) <= LAST_FOLD_BYTES) {
      await journal.addSpare(overlay.path);
      const folded = await live.exclusively(() => foldLast(parts, overlay, base));
      if (folded) await drop(overlay);
      return;
    }
    job.enter('copying');
    const switched = await live.exclusively(async () => {
      if (left()) return false;
      await switchAway(parts);
      return true;
    });
    if (!switched) return;
    await copyDown(overlay, base, job);
    await journal.addSpare(overlay.path);
    await live.exclusively(async () => {
      job.enter('pivoting');
      await pivotAbove(live, overlay, base);
    });
    await drop(overlay);
  }
}

/** The machine's requests wait here, for at most about `LAST_FOLD_BYTES` and two flushes. */
async function foldLast(parts: CommitParts, overlay: Layer, base: Layer): Promise<boolean> {
  const { live, job } = parts;
  if (live.active !== overlay) return false;
  const release = await live.hold();
  try {
    job.enter('pivoting');
    await copyDown(overlay, base, job);
    await carryDown(overlay, base);
    await parts.record(base.path);
    live.replaceActive(base);
    return true;
  } finally {
    release();
  }
}

/** Creates an overlay and makes it active; returns when the layer below is frozen. */
export async function switchAway(parts: Noted): Promise<void> {
  const { live, journal } = parts;
  const name = parts.newName();
  await journal.addSpare(name);
  const overlay = await createOverlay(live.active, name, parts.overlay);
  try {
    await parts.record(overlay.path);
  } catch (thrown) {
    await drop(overlay);
    throw thrown;
  }
  await Promise.all([live.switchTo(overlay).frozen, journal.removeSpare(name)]);
}

/** Makes the base writable, and of the layer's size. */
export async function prepareBase(base: Layer, layer: Layer): Promise<void> {
  base.thaw();
  if (base.readonly) await base.reopen({ access: 'write' });
  if (base.size === layer.size) return;
  // Should they get lost on the way, the layer has them still.
  await carryUp([base], layer);
  await layer.reopen({});
  await resizeDisk(base, layer.size);
}

/** Copies what a layer has into the layer below, durably. */
export async function copyDown(layer: Layer, base: Layer, job: Job): Promise<void> {
  const total = await bytesIn(layer);
  job.expect(total);
  const pool = new BufferPool(PIECE_BYTES);
  await Pipeline.during(job, async pipeline => {
    for await (const range of rangesOf(layer, 0, layer.size)) {
      if (range.kind === 'below') continue;
      for (const { offset, length } of piecesOf(range.offset, range.length)) {
        await pipeline.start(length, async () => {
          if (range.kind === 'zero') return await base.writeZeroes(offset, length);
          await pool.lend(length, async bytes => {
            await layer.read(offset, [bytes]);
            await base.write(offset, [bytes]);
          });
        });
      }
    }
  });
  await base.flush();
}

/** Bytes of the disk that a layer says something about. */
export async function bytesIn(layer: Layer): Promise<number> {
  let bytes = 0;
  for await (const range of rangesOf(layer, 0, layer.size)) if (range.kind !== 'below') bytes += range.length;
  return bytes;
}

/** Puts whatever stands on `layer` onto `base` instead. */
async function pivotAbove(live: LiveDisk, layer: Layer, base: Layer): Promise<void> {
  const bitmapsKept = await carryDown(layer, base);
  const above = layersFrom(live.active).find(one => one.backing === layer);
  if (above === undefined) {
    throw new AfterimageError('state', 'The layer is not below the machine any more', { file: layer.path });
  }
  // Below them nothing could tell any more.
  if (!bitmapsKept) await carryUp([layer], above);
  await pivot(above, base);
}

/** Closes a layer that nothing stands on any more, and removes its file. */
async function drop(layer: Layer): Promise<void> {
  await layer.close().catch(() => undefined);
  await layer.folder.remove(layer.path);
  await layer.folder.flush();
}

/** They would be lost with the layer's file. */
export function refuseSnapshots(layer: Layer): void {
  if ((layer.image?.header.snapshots.count ?? 0) === 0) return;
  throw new AfterimageError('unsupported', 'An image with internal snapshots cannot be committed', {
    file: layer.path,
  });
}

function refuseNeeded(parts: CommitParts, path: string): void {
  const reason = parts.needed(path);
  if (reason !== undefined) {
    throw new AfterimageError('state', `The layer cannot be committed: ${reason}`, { file: path });
  }
}
