import type { Hex } from './format.ts';

/** Which automatic checkpoints are kept; those that no rule keeps are deleted. */
export interface RetentionPolicy {
  /** The latest so many. */
  readonly latest: number;
  /** For each of the last `count` periods that have any: the latest of the period. E.g. one a day for a week. */
  readonly periods?: readonly { readonly milliseconds: number; readonly count: number }[];
}

export interface Expirable {
  readonly id: Hex;
  readonly takenAt: number;
  readonly origin: 'manual' | 'automatic';
  readonly protected: boolean;
}

/** What the policy lets go: never a manual or protected one, nor the one the machine is at. */
export function expired(nodes: readonly Expirable[], policy: RetentionPolicy, current: Hex | undefined): Hex[] {
  const automatic = nodes
    .filter(node => node.origin === 'automatic')
    // Equal times are told apart by identity, so that the outcome does not depend on the order given.
    .sort((a, b) => b.takenAt - a.takenAt || (a.id < b.id ? -1 : 1));
  const kept = new Set(automatic.slice(0, policy.latest).map(node => node.id));
  for (const { milliseconds, count } of policy.periods ?? []) {
    const seen = new Set<number>();
    for (const node of automatic) {
      const period = Math.floor(node.takenAt / milliseconds);
      if (seen.has(period)) continue;
      if (seen.size === count) break;
      seen.add(period);
      kept.add(node.id);
    }
  }
  return automatic.filter(node => !kept.has(node.id) && !node.protected && node.id !== current).map(node => node.id);
}
