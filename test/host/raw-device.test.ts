// @req C15: checkpoints on a block device. A loop device is one; who may not make one tests only what needs none.
import { spawnSync } from 'node:child_process';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { openMedium } from '../../engine/host/checkpoint-folder.ts';
import { createMachine, own } from './machine-owner.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MIB = 2 ** 20;
/** Not a power of two, so that the device's size is measured and not guessed. */
const BYTES = 200 * MIB + 512;

/** Undefined where loop devices cannot be made: no such system, not root, or all in use. */
function loopDevice(): string | undefined {
  const file = path.join(temporaryFolder(), 'device.img');
  writeFileSync(file, '');
  truncateSync(file, BYTES);
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', file], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  const device = stdout.trim();
  onTestFinished(() => void spawnSync('losetup', ['--detach', device]));
  return device;
}

test('a machine keeps checkpoints on a block device, which nobody else can use meanwhile', async () => {
  const device = loopDevice();
  if (device === undefined) {
    process.stdout.write('block devices: not tested, for no loop device can be made here\n');
    return;
  }
  const { kernel, initrd, append } = await ensureGuest();
  const guest = { kernel, initrd, append };
  const folder = path.join(temporaryFolder(), 'machine');
  await createMachine(folder, { memory: 128 * MIB });
  const first = own(folder);
  const store = `raw:${device}`;
  await first.connection.call('start', { guest });
  const said = async (owner: typeof first, command: string) =>
    (await owner.connection.call('exec', { command, timeoutSeconds: 60 })).output;
  await said(first, 'echo one > /tmp/x');
  const one = await first.connection.call('checkpoint', { store, name: 'one' });
  await said(first, 'echo two > /tmp/x');
  const two = await first.connection.call('checkpoint', { store, name: 'two' });
  expect(two).toMatchObject({ parent: one.id, incremental: true });
  await expect(openMedium(device)).rejects.toMatchObject({ kind: 'locked' });
  expect(existsSync(`${device}.lock`)).toBe(false);
  await first.connection.call('stop', { force: true });
  first.connection.close();
  first.engine.letGo();
  await first.exit;

  const second = own(folder);
  await second.connection.call('restore', { id: one.id, guest });
  expect(await said(second, 'cat /tmp/x')).toBe('one\n');
  await second.connection.call('restore', { id: two.id });
  expect(await said(second, 'cat /tmp/x')).toBe('two\n');
  expect((await second.connection.call('verify', { deep: true })).problems).toEqual([]);
  await second.connection.call('stop', { force: true });
  second.connection.close();
  second.engine.letGo();
  await second.exit;
  const medium = await openMedium(device);
  expect(await medium.size()).toBe(BYTES);
  await medium.close();
}, 120_000);
