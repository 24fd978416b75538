// Jobs of a running machine's disk beside commit and stream.
import { AfterimageError } from '../../base/errors.ts';
import type { Layer } from '../chain/layer.ts';
import type { LiveDisk } from '../chain/live-disk.ts';
import { type CheckReport, checkImage } from '../qcow2/check.ts';
import { repairImage } from '../qcow2/repair.ts';
import { type CommitParts, foldIn, switchAway } from './commit.ts';
import { refuseToCompact, replaceByCompact } from './convert.ts';
import { Journal } from './journal.ts';
import { resizeDisk } from './resize.ts';

/**
 * Writes a layer of a running machine anew with only what it needs (`compact`). While that goes on for the active
 * layer, an overlay takes the machine's writes, and is folded in afterwards. Returns the bytes given back.
 */
export async function compactRunning(
  parts: CommitParts,
  layer: Layer,
  options: { readonly compress?: boolean },
): Promise<number> {
  const { live, job } = parts;
  refuseToCompact(layer, options);
  const record = { kind: 'compact', layer: layer.path, spare: [] } as const;
  return await Journal.during(layer.folder, record, async journal => {
    const noted = { ...parts, journal };
    const wasActive = live.active === layer;
    if (wasActive) await live.exclusively(() => switchAway(noted));
    await live.freezeAgain(layer);
    const freed = await replaceByCompact(layer, options, job);
    if (!wasActive) return freed;
    const overlay = live.active;
    if (overlay.backing !== layer) return freed;
    layer.thaw();
    try {
      if (layer.readonly) await layer.reopen({ access: 'write' });
      // From here on it is a commit of what the machine has written meanwhile.
      await journal.note({ kind: 'commit', layer: overlay.path, base: layer.path });
      journal.keep();
      await foldIn(noted, layer);
    } finally {
      if (live.active !== layer) layer.freeze();
    }
    return freed;
  });
}

/**
 * Makes the disk of a running machine larger. Its requests wait meanwhile; the guest is for the caller to tell.
 * Errors: `usage` for a smaller size, which a guest could not be told.
 */
export async function growRunning(live: LiveDisk, size: number): Promise<void> {
  await live.exclusively(async () => {
    if (size < live.size) {
      throw new AfterimageError('usage', 'The disk of a running machine can only be made larger', {
        file: live.active.path,
        size: live.size,
      });
    }
    const release = await live.hold();
    try {
      await resizeDisk(live.active, size);
    } finally {
      release();
    }
  });
}

/** Looks for damage in a layer, and mends it on request. What is in use waits meanwhile: only metadata is read. */
export async function checkRunning(layer: Layer, repair: boolean): Promise<CheckReport> {
  if (layer.format !== 'qcow2') {
    throw new AfterimageError('unsupported', 'A raw disk has nothing to check', { file: layer.path });
  }
  const { access } = layer;
  let report: CheckReport | undefined;
  await layer.reopen({
    access: repair ? 'write' : access,
    change: async file => {
      report = repair ? (await repairImage(file)).after : await checkImage(file);
    },
  });
  if (layer.access !== access) await layer.reopen({ access });
  return report!;
}
