import { describe, expect, test } from 'vitest';
import { KERNEL_OFFSET, MIB } from '../loaders/plan.ts';
import { randomNumbers } from '../loaders/samples.ts';
import { type LayoutRequest, layOut } from './layout.ts';

const AT = 0x8000_0000;
const request = (sizeMiB: number, kernelMiB: number, initrdSize: number, treeSize = 5000): LayoutRequest => ({
  memory: { at: AT, size: sizeMiB * MIB },
  softwareEnd: AT + KERNEL_OFFSET + kernelMiB * MIB,
  initrdSize,
  treeSize,
  fileNames: ['vmlinuz', 'initrd.img'],
});

describe('the places of initial RAM disk and device tree', () => {
  // As QEMU 7.2 places them for the same sizes.
  test.each([
    [64, 0x8220_0000, 0x83e0_0000],
    [128, 0x8420_0000, 0x87e0_0000],
    [512, 0x8820_0000, 0x9fe0_0000],
    [1024, 0x8820_0000, 0xbfe0_0000],
    [2048, 0x8820_0000, 0xbfe0_0000],
    [3072, 0x8820_0000, 0xbfe0_0000],
  ])('in %i MiB are those of QEMU', (sizeMiB, initrdAt, treeAt) => {
    expect(layOut(request(sizeMiB, 20, 100_000))).toEqual({ initrdAt, treeAt });
  });

  test('give way to a kernel that is in the way', () => {
    expect(layOut(request(512, 200, MIB)).initrdAt).toBe(AT + 202 * MIB);
    expect(layOut(request(64, 60, 0))).toEqual(expect.objectContaining({ treeAt: 0x83e0_0000 }));
  });

  test('give way to an initial RAM disk that reaches across 3 GiB', () => {
    const { initrdAt, treeAt } = layOut(request(3072, 20, 1024 * MIB));
    expect(initrdAt).toBe(0x8820_0000);
    expect(treeAt).toBe(AT + 3070 * MIB);
  });

  test('that do not exist are reported with the files and the memory that would be enough', () => {
    expect(() => layOut(request(64, 30, 50 * MIB))).toThrow(
      '64 MiB of memory are too few for vmlinuz and initrd.img; give the machine at least 83 MiB',
    );
  });

  test('never overlap, and the memory said to be enough is the least that is', () => {
    const random = randomNumbers(20_26);
    let refused = 0;
    for (let round = 0; round < 5000; round += 1) {
      const initrdSize = random(3) === 0 ? 0 : random(2 ** random(31)) + 1;
      const asked = request(8 + random(random(2) === 0 ? 200 : 3000), random(300) + random(2) / 3, initrdSize);
      const attempt = (sizeMiB: number): number | undefined => {
        const memory = { at: AT, size: sizeMiB * MIB };
        try {
          const { initrdAt, treeAt } = layOut({ ...asked, memory });
          const tree = [treeAt, treeAt + asked.treeSize + 64 * 1024] as const;
          const initrd = [initrdAt, initrdAt + initrdSize] as const;
          expect(treeAt % (2 * MIB)).toBe(0);
          expect(initrdAt % 4096).toBe(0);
          expect(tree[0]).toBeGreaterThanOrEqual(asked.softwareEnd);
          expect(initrd[0]).toBeGreaterThanOrEqual(asked.softwareEnd);
          expect(Math.max(tree[1], initrdSize === 0 ? 0 : initrd[1])).toBeLessThanOrEqual(AT + memory.size);
          if (initrdSize > 0) expect(tree[0] >= initrd[1] || tree[1] <= initrd[0]).toBe(true);
          return undefined;
        } catch (error) {
          return (error as { context: { enoughMiB: number } }).context.enoughMiB;
        }
      };
      const enough = attempt(asked.memory.size / MIB);
      if (enough === undefined) continue;
      refused += 1;
      expect(attempt(enough), `round ${round}: ${enough} MiB`).toBeUndefined();
      expect(attempt(enough - 1), `round ${round}: ${enough - 1} MiB`).toBe(enough);
    }
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(4500);
  });
});
