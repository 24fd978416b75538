// Made-up checkpoints that look as if somebody had worked with a machine for some days.
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import { Random } from '../../contract/random.ts';

/** At least 0, less than 1. */
export function fraction(random: Random): number {
  return random.word() / 2 ** 32;
}

export function identity(random: Random): string {
  return Array.from({ length: 4 }, () => random.word().toString(16).padStart(8, '0')).join('');
}

/** The last moment of every made-up tree, so that pictures of it do not change. */
export const NOW = Date.UTC(2026, 10, 20, 15, 42, 10);

const NAMES = [
  'fresh install',
  'before upgrade',
  'after apt full-upgrade',
  'kernel 6.12.48 boots',
  'nginx configured',
  'before dropping the test database',
  'ready for the demo',
  'ssh keys in place',
  'compiler built',
  'half of the migration',
  'works on my machine',
  'broken network, keep for the report',
];

const NOTES = [
  '',
  '',
  '',
  'All tests passed before this one.',
  'The service needs a restart after a restore, because its certificate has run out by then.\nAsk Mei about it.',
];

export interface TreeShape {
  /** Chance that a checkpoint starts a branch at an earlier one. */
  readonly forks?: number;
  /** Chance that nobody asked for it. */
  readonly automatic?: number;
}

/** Parents come before children; the times are in order. */
export function checkpointsOf(count: number, seed: number, shape: TreeShape = {}): CheckpointNode[] {
  const random = new Random(seed);
  const nodes: CheckpointNode[] = [];
  let takenAt = 0;
  let tip: CheckpointNode | undefined;
  for (let index = 0; index < count; index += 1) {
    takenAt += Math.floor((4 + fraction(random) * fraction(random) * 160) * 60_000);
    if (index > 0 && fraction(random) < (shape.forks ?? 0.12)) tip = random.pick(nodes.slice(-40));
    const automatic = index > 0 && fraction(random) < (shape.automatic ?? 0.35);
    const full = tip === undefined || fraction(random) < 0.1;
    const store = fraction(random) < 0.06 ? 'ram' : 'file';
    tip = {
      id: identity(random),
      ...(tip !== undefined && { parent: tip.id }),
      name: automatic ? 'Automatic' : index === 0 ? NAMES[0]! : random.pick(NAMES),
      note: automatic ? '' : random.pick(NOTES),
      takenAt,
      origin: automatic ? 'automatic' : 'manual',
      protected: index > 0 && fraction(random) < 0.09,
      store,
      durable: store !== 'ram',
      pauseMicroseconds: Math.floor(60 + fraction(random) * fraction(random) * 900),
      bytes: Math.floor(full ? 60e6 + fraction(random) * 90e6 : 1e6 + fraction(random) * fraction(random) * 40e6),
      ...(!full && tip !== undefined && { base: tip.id }),
      current: false,
    };
    nodes.push(tip);
  }
  // The last was taken some minutes ago.
  const shift = NOW - 7 * 60_000 - takenAt;
  return nodes.map((node, index) => ({
    ...node,
    takenAt: node.takenAt + shift,
    current: index === nodes.length - 1,
  }));
}

export function present(parent: string): { id: string; parent: string; takenAt: number } {
  return { id: 'present', parent, takenAt: Number.POSITIVE_INFINITY };
}
