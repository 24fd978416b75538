// What can be done with a layer, and why what cannot be done cannot.
import type { DiskJobKind, DiskView, LayerView, Verdict } from '../../../engine/api/control.ts';
import { layerName } from './chain-layout.ts';

export interface LayerAction {
  readonly kind: DiskJobKind;
  readonly verdict: Verdict;
}

/** A reason as the host gives it, with names in place of identities and paths. */
export function namedReason(reason: string, disk: DiskView): string {
  let named = reason;
  for (const { by, id, name } of disk.layers.flatMap(layer => layer.neededBy)) {
    if (by === 'checkpoint' && name !== undefined) named = named.replaceAll(id, () => `“${name}”`);
  }
  for (const { path } of disk.layers) named = named.replaceAll(path, () => layerName(path));
  return named;
}

const YES: Verdict = { allowed: true };

/** In the order in which they are offered. `overlay` is of the disk, so only the active layer has it. */
export function layerActions(disk: DiskView, layer: LayerView): readonly LayerAction[] {
  const actions: LayerAction[] = [];
  if (layer.path === disk.active) actions.push({ kind: 'overlay', verdict: YES });
  for (const kind of ['commit', 'stream', 'compact'] as const) actions.push({ kind, verdict: layer.may[kind] });
  actions.push({ kind: 'check', verdict: YES }, { kind: 'resize', verdict: layer.may.resize });
  // Of a layer that is needed nobody expects it.
  if (layer.may.delete.allowed) actions.push({ kind: 'delete', verdict: layer.may.delete });
  return actions;
}

/** Jobs of this disk that have not ended, the first begun first. */
export function runningOn<J extends { readonly job: number; readonly disk?: number; readonly state: string }>(
  jobs: readonly J[],
  disk: number,
): readonly J[] {
  return jobs.filter(job => job.disk === disk && job.state === 'running').toSorted((a, b) => a.job - b.job);
}
