// Where the initial RAM disk and the device tree go, as QEMU's `virt` puts them (hw/riscv/boot.c), so that software
// tuned to QEMU finds them where it is used to; elsewhere only when QEMU's places are taken.

import { AfterimageError } from '../../base/errors.ts';
import { alignDown, alignUp } from '../bytes.ts';
import type { Window } from '../device-tree.ts';
import { KERNEL_OFFSET, MIB, printable } from '../loaders/plan.ts';

const GIB = 2 ** 30;
const PAGE = 4096;
/** The initial RAM disk is at most this far behind the kernel. */
const INITRD_DISTANCE = 128 * MIB;
/** Firmware for 32-bit machines reaches no further; Linux maps the tree with a page of 2 MiB. */
const TREE_CEILING = 3 * GIB;
const TREE_ALIGNMENT = 2 * MIB;
/** OpenSBI and U-Boot add to the tree where it lies, a few KiB each. */
const TREE_ROOM_TO_GROW = 64 * 1024;

export interface LayoutRequest {
  readonly memory: Window;
  /** End of the highest byte of loaded software, zeroed data included. */
  readonly softwareEnd: number;
  readonly initrdSize: number;
  readonly treeSize: number;
  /** What the memory is for, for the error. */
  readonly fileNames: readonly string[];
}

export interface Layout {
  /** Where the initial RAM disk begins; meaningless when its size is 0. */
  readonly initrdAt: number;
  readonly treeAt: number;
}

/** @throws AfterimageError `too-large` when memory cannot hold it all, with `enoughMiB`: the least that can. */
export function layOut(request: LayoutRequest): Layout {
  const { memory, softwareEnd, initrdSize } = request;
  const end = memory.at + memory.size;
  const treeRoom = request.treeSize + TREE_ROOM_TO_GROW;
  const firstFree = alignUp(softwareEnd, PAGE);
  const usualInitrd = memory.at + KERNEL_OFFSET + alignDown(Math.min(memory.size / 2, INITRD_DISTANCE), PAGE);
  for (const initrdAt of usualInitrd >= firstFree ? [usualInitrd, firstFree] : [firstFree]) {
    const initrdEnd = initrdAt + initrdSize;
    for (const ceiling of [Math.min(end, TREE_CEILING), end]) {
      const treeAt = alignDown(ceiling - treeRoom, TREE_ALIGNMENT);
      const apart = treeAt >= initrdEnd || treeAt + treeRoom <= initrdAt || initrdSize === 0;
      if (initrdEnd <= end && treeAt >= firstFree && apart) return { initrdAt, treeAt };
    }
  }
  const least = alignUp(firstFree + initrdSize, TREE_ALIGNMENT) + treeRoom - memory.at;
  const enough = Math.ceil(least / MIB);
  throw new AfterimageError(
    'too-large',
    `${memory.size / MIB} MiB of memory are too few for ${request.fileNames.map(printable).join(' and ')}; ` +
      `give the machine at least ${enough} MiB`,
    { enoughMiB: enough, memoryMiB: memory.size / MIB },
  );
}
