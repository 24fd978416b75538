import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { BOOT_ROM_AT, resetVector } from './reset-vector.ts';

/** The boot ROM of QEMU's machine as 32-bit words, and where QEMU put its device tree. */
function qemuRom(words: number): number[] {
  const result = spawnSync(
    'qemu-system-riscv64',
    ['-M', 'virt', '-m', '128', '-display', 'none', '-serial', 'null', '-monitor', 'stdio', '-S'],
    { input: `xp /${words}wx ${BOOT_ROM_AT}\nquit\n`, timeout: 60_000 },
  );
  expect(result.error, 'QEMU runs').toBeUndefined();
  const lines = result.stdout.toString().match(/^0*[\da-f]+: (0x[\da-f]{8} ?)+/gm) ?? [];
  return lines.flatMap(line => line.split(': ')[1]!.trim().split(' ').map(Number));
}

test('is that of QEMU, word for word', () => {
  const theirs = qemuRom(22);
  expect(theirs).toHaveLength(22);
  // Without a kernel QEMU names no next address; its tree lies where its own size lets it.
  const rom = resetVector({ start: 0x8000_0000, treeAt: theirs[8]!, next: 0 });
  const view = new DataView(rom.buffer);
  expect(Array.from({ length: rom.length / 4 }, (_, index) => view.getUint32(index * 4, true))).toEqual(theirs);
});

test('carries what to start next', () => {
  const view = new DataView(resetVector({ start: 0x8000_0000, treeAt: 0x87e0_0000, next: 0x8020_0000 }).buffer);
  expect(view.getBigUint64(40, true)).toBe(0x4942534fn);
  expect(view.getBigUint64(56, true)).toBe(0x8020_0000n);
});
