// Debian on a chain of qcow2 images: commits, kills and a full host between runs and during them, and ext4 is clean.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { qemuCheck, qemuImg } from '../disk/qcow2/qemu.ts';
import { GuestSession } from '../framework/guest-session.ts';

const cli = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');
const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-disks-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);
const disk = (...words: string[]) =>
  execFileSync(process.execPath, [cli, 'disk', ...words], { cwd: folder }).toString();

/** ext4 on the top of the chain, as e2fsck finds it after replaying its journal, as a mount does. */
async function expectCleanFileSystem(): Promise<void> {
  expect((await qemuCheck(file('top.qcow2'))).corruptions).toBe(0);
  await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', file('top.qcow2'), file('fs.raw'));
  // 0 clean, 1 the journal was replayed and counts corrected.
  const replayed = spawnSync('e2fsck', ['-fp', file('fs.raw')], { encoding: 'utf8' });
  expect(replayed.stdout + replayed.stderr).not.toMatch('UNEXPECTED');
  expect([0, 1]).toContain(replayed.status);
  execFileSync('e2fsck', ['-fn', file('fs.raw')], { stdio: 'pipe' });
}

const load =
  'for i in $(seq 400); do head -c 100000 /dev/urandom >/data/f$((i % 40)); [ $((i % 10)) = 0 ] && sync; done';

beforeAll(async () => {
  disk('create', 'base.qcow2', '256M');
  disk('create', 'middle.qcow2', '-b', 'base.qcow2');
  {
    await using guest = new GuestSession(['--disk', file('base.qcow2')]);
    await guest.ready();
    expect(
      await guest.command('head -c 3000000 /dev/urandom >/data/kept; sha256sum </data/kept >/data/sum; echo ok'),
    ).toContain('ok');
    await guest.send('poweroff\n');
    expect(await guest.exit()).toBe(0);
  }
  disk('create', 'top.qcow2', '-b', 'middle.qcow2', '-o', 'extended_l2=on');
}, 300_000);

const same = "sha256sum </data/kept | cmp - /data/sum && echo sa''me";

test('a guest works on three layers, and a commit keeps all of it', { timeout: 300_000 }, async () => {
  {
    await using guest = new GuestSession(['--disk', file('top.qcow2')]);
    await guest.ready();
    expect(await guest.command(same)).toContain('same');
    expect(await guest.command(`${load}; echo loa''ded`)).toContain('loaded');
    await guest.send('poweroff\n');
    expect(await guest.exit()).toBe(0);
  }
  await expectCleanFileSystem();
  disk('commit', 'middle.qcow2');
  disk('commit', 'top.qcow2');
  await expectCleanFileSystem();
});

test('a killed engine leaves what the guest had flushed', { timeout: 300_000 }, async () => {
  {
    await using guest = new GuestSession(['--disk', file('top.qcow2')]);
    await guest.ready();
    expect(await guest.command('head -c 2000000 /dev/urandom >/data/late; sync; sha256sum </data/late')).toContain('-');
    await guest.send(`${load}\n`);
    await guest.waitFor('done');
    const children = readFileSync(`/proc/${guest.pid}/task/${guest.pid}/children`, 'utf8').trim().split(' ');
    // The engine writes when it dies.
    const before = statSync(file('top.qcow2')).mtimeMs;
    await expect.poll(() => statSync(file('top.qcow2')).mtimeMs, { timeout: 60_000 }).toBeGreaterThan(before);
    for (const child of children) process.kill(Number(child), 'SIGKILL');
    expect(await guest.exit()).not.toBe(0);
  }
  await expectCleanFileSystem();
  await using guest = new GuestSession(['--disk', file('top.qcow2')]);
  await guest.ready();
  expect(await guest.command(same)).toContain('same');
  expect(await guest.command('wc -c </data/late')).toContain('2000000');
  await guest.send('poweroff\n');
  expect(await guest.exit()).toBe(0);
});

test('a full host makes the guest wait, and nothing is lost', { timeout: 300_000 }, async () => {
  const small = file('small');
  execFileSync('mkdir', [small]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24M', 'tmpfs', small]);
  try {
    execFileSync('cp', [file('base.qcow2'), small]);
    disk('create', path.join(small, 'over.qcow2'), '-b', 'base.qcow2');
    const left = 2 ** 20 * 24 - execFileSync('du', ['-sb', small]).toString().split('\t').map(Number)[0]!;
    writeFileSync(path.join(small, 'filler'), new Uint8Array(Math.max(0, left - 3 * 2 ** 20)));
    await using guest = new GuestSession(['--disk', path.join(small, 'over.qcow2')]);
    await guest.ready();
    await guest.send('head -c 5000000 /dev/urandom >/data/big; sync; sha256sum </data/big >/tmp/sum; echo wri""tten\n');
    await expect.poll(() => guest.errors, { timeout: 120_000 }).toMatch('waits until there is');
    rmSync(path.join(small, 'filler'));
    await guest.waitFor('written');
    await guest.ready();
    expect(guest.errors).toMatch('goes on');
    const drop = 'echo 3 >/proc/sys/vm/drop_caches';
    expect(await guest.command(`${drop}; sha256sum </data/big | cmp - /tmp/sum && echo sa''me`)).toContain('same');
    expect(await guest.command('dmesg | grep -c "I/O error"')).toMatch(/^0\n/);
    await guest.send('poweroff\n');
    expect(await guest.exit()).toBe(0);
    expect(await qemuCheck(path.join(small, 'over.qcow2'))).toMatchObject({ corruptions: 0 });
    expect(readdirSync(small)).not.toContain('over.qcow2.lock');
  } finally {
    execFileSync('umount', ['-l', small]);
  }
});
