// Two checkpoints are compared by content, wherever it is stored.
import path from 'node:path';
import { expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { createMachine, own } from './machine-owner.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MIB = 2 ** 20;

test('two full checkpoints of an unchanged guest differ in few pages, and disks in what was written', async () => {
  const { kernel, initrd, append } = await ensureGuest();
  const folder = path.join(temporaryFolder(), 'machine');
  const disk = (size: number) => ({ kind: 'new', size: size * MIB, format: 'qcow2' }) as const;
  await createMachine(folder, { memory: 128 * MIB, disks: [disk(16), disk(32)] });
  const { connection } = own(folder);
  const said = async (command: string) => {
    const { status, output } = await connection.call('exec', { command, timeoutSeconds: 120 });
    expect(status, output).toBe(0);
  };
  await connection.call('start', { guest: { kernel, initrd, append } });
  await said('umount /data; dd if=/dev/urandom of=/dev/vdb bs=1M count=8; sync');
  // Standing still, so that nothing but what is asked for changes.
  await connection.call('pause', {});
  const first = await connection.call('checkpoint', { full: true });
  const second = await connection.call('checkpoint', { full: true });
  expect(second.incremental).toBe(false);
  const unchanged = await connection.call('compare', { from: first.id, to: second.id });
  expect(unchanged).toMatchObject({ totalPages: 32_768, disks: [{ changedBytes: 0 }, { changedBytes: 0 }] });
  expect(second.pages).toBeGreaterThan(5000);
  expect(unchanged.changedPages).toBeLessThan(16);

  await connection.call('resume', {});
  // Twice what was there before, and 256 KiB of something else.
  await said('dd if=/dev/vdb of=/tmp/x bs=1M count=2; dd if=/tmp/x of=/dev/vdb bs=1M conv=notrunc; sync');
  await said('dd if=/dev/zero of=/dev/vdb bs=4k seek=256 count=64 conv=notrunc; sync');
  const third = await connection.call('checkpoint', { full: true });
  const changed = await connection.call('compare', { from: third.id, to: first.id });
  expect(changed.disks).toMatchObject([{ changedBytes: 0 }, { changedBytes: 256 * 1024 }]);
  // The copy in memory, and little else.
  expect(changed.changedPages).toBeGreaterThanOrEqual(512);
  expect(changed.changedPages).toBeLessThan(second.pages);
  // Nothing is shared any more, and the content is the same.
  await connection.call('disk-job', { disk: 1, kind: 'stream' });
  expect(await connection.call('compare', { from: first.id, to: third.id })).toMatchObject({
    changedPages: changed.changedPages,
    disks: changed.disks,
  });
  await connection.call('stop', { force: true });
}, 120_000);
