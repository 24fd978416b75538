// How far two checkpoints of a machine differ.
import type { Comparison } from '../api/checkpoints.ts';
import type { Disks } from '../checkpoint/about.ts';
import type { MachineHost } from './machine-host.ts';
import { disksOf } from './machine-position.ts';
import { comparePages } from './machine-tree.ts';

export async function compareCheckpoints(host: MachineHost, from: string, to: string): Promise<Comparison> {
  const tree = await host.tree();
  const [one, other] = [await tree.open(from), await tree.open(to)];
  try {
    const { changed, total } = comparePages(one, other);
    const disks = await compareDisks(host, await disksOf(one), await disksOf(other));
    return { from, to, changedPages: changed, totalPages: total, disks };
  } finally {
    await one.close();
    await other.close();
  }
}

async function compareDisks(host: MachineHost, from: Disks, to: Disks): Promise<Comparison['disks']> {
  const { layers } = host;
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
