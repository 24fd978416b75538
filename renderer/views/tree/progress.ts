// How far the two things that take a while with checkpoints are: saving one, and loading one lazily.
import type { MachineStatus, TakeProgress } from '../../../engine/api/machine.ts';
import { PAGE_SIZE } from '../memory/page-ranges.ts';

/** 0 to 1. */
export function takenShare(taking: TakeProgress): number {
  if (taking.phase === 'completing') return 1;
  return taking.totalPages > 0 ? Math.min(1, taking.donePages / taking.totalPages) : 0;
}

/** Share of memory that a lazy restore has loaded, 0 to 1; undefined when none is under way. */
export function loadedShare(status: MachineStatus, memory: number | undefined): number | undefined {
  const { absentPages } = status;
  if (absentPages === undefined || absentPages === 0 || memory === undefined || memory <= 0) return undefined;
  return Math.min(1, Math.max(0, 1 - absentPages / (memory / PAGE_SIZE)));
}

/** Whole percents, 100 only at the end. */
export function percent(share: number): string {
  return `${share >= 1 ? 100 : Math.min(99, Math.floor(share * 100))}%`;
}
