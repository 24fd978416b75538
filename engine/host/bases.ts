import type { Hex } from '../checkpoint/format.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';

/** From so many files on a checkpoint is saved in full: each file of a chain is opened when it is restored. */
const LONGEST_CHAIN = 64;

/** A checkpoint that the next one can build on. */
export interface Base {
  readonly id: Hex;
  /** Pages last written in this epoch or before are as in it. */
  readonly epoch: number;
  /** Whether its store is: a kept checkpoint cannot build on one in memory. */
  readonly durable: boolean;
}

/**
 * The checkpoints that the machine's dirty marks count from (C17). Their files are kept for it, also when they are
 * deleted from the list: the newest, and the newest durable one.
 */
export class Bases {
  #bases: readonly Base[] = [];
  #tree: CheckpointTree | undefined;

  /** The one to build on; none when a checkpoint would then stand on too many files. */
  toBuildOn(durable: boolean): Base | undefined {
    const base = this.newest(durable);
    return base !== undefined && (this.#tree?.chainLength(base.id) ?? 0) < LONGEST_CHAIN ? base : undefined;
  }

  /** The one that marks count from. */
  newest(durable: boolean): Base | undefined {
    return this.#bases.find(base => base.durable || !durable);
  }

  add(tree: CheckpointTree, base: Base): void {
    tree.pin(base.id);
    this.#tree = tree;
    const kept = base.durable ? [base] : [base, ...this.#bases.filter(one => one.durable)];
    for (const old of this.#bases) if (!kept.includes(old)) tree.unpin(old.id);
    this.#bases = kept;
  }

  /** The machine has ended, and its marks with it. */
  clear(): void {
    for (const { id } of this.#bases) this.#tree?.unpin(id);
    this.#bases = [];
  }
}
