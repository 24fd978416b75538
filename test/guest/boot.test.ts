// The default guest under QEMU: what a person at its console may rely on. The guest comes from the cache, or is built.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureGuest, type Guest } from '../../assets/guest/guest.ts';
import { CURSOR_QUESTION, PROMPT, QemuGuest } from './qemu-guest.ts';

let guest: Guest;
let folder = '';

beforeAll(async () => {
  guest = await ensureGuest();
  folder = mkdtempSync(path.join(tmpdir(), 'afterimage-guest-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function blankDisk(name: string, size: number): string {
  const file = path.join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, size);
  return file;
}

const MIB = 1024 * 1024;

test('the shell is one to work with: size, type, job control, ^C, modules on demand, all of busybox', async () => {
  await using qemu = new QemuGuest(guest, { append: 'TERM=foot afterimage.rows=50 afterimage.cols=132' });
  await qemu.expect(/Linux \S+riscv64\. No disk\.\r?\n/);
  await qemu.expect(PROMPT);
  expect(await qemu.run('stty size; echo $TERM; whoami; hostname; uname -m')).toBe(
    '50 132\nfoot\nroot\nafterimage\nriscv64\n',
  );
  expect(await qemu.run('stty -a')).toMatch(/(^|\s)crtscts\s/);
  expect(await qemu.run('sleep 100 & jobs')).toMatch(/^\[1\]\+? +Running +sleep 100/m);
  await qemu.run('kill %1; wait');
  expect(await qemu.run('jobs')).toBe('');
  // ^C ends what runs in the foreground and leaves the shell; 130 is 128 and the number of SIGINT.
  qemu.type(`sh -c 'echo be""gun; exec sleep 1000'\r`);
  await qemu.expect(/begun/);
  qemu.type('\x03');
  await qemu.expect(PROMPT);
  expect(await qemu.run('echo status $?')).toBe('status 130\n');
  // ^Z and bg need a controlling terminal and process groups.
  qemu.type(`sh -c 'echo on""ce; exec sleep 1000'\r`);
  await qemu.expect(/once/);
  qemu.type('\x1a');
  await qemu.expect(PROMPT);
  expect(await qemu.run('bg; jobs')).toMatch(/Running +sh -c/);
  await qemu.run('kill %1; wait');
  expect(await qemu.run('cat /sys/class/misc/hw_random/rng_current')).toBe('virtio_rng.0\n');
  await qemu.run('mkdir /tmp/new /tmp/work /tmp/both');
  await qemu.run('options=lowerdir=/etc,upperdir=/tmp/new,workdir=/tmp/work');
  expect(await qemu.run('mount -t overlay -o $options o /tmp/both && grep 127 /tmp/both/hosts')).toBe(
    '127.0.0.1 localhost\n',
  );
  expect(await qemu.run('ping -c 1 localhost >/dev/null && echo lo is up')).toBe('lo is up\n');
  expect(await qemu.run('for a in $(busybox --list); do [ -x /bin/$a ] || echo $a; done')).toBe(
    'dpkg\ndpkg-deb\nlinuxrc\nrpm\nrpm2cpio\n',
  );
  expect(await qemu.run('ls -ld / /dev/null /init | cut -c 1-10')).toBe('drwxr-xr-x\ncrw-rw-rw-\n-rwxr-xr-x\n');
});

test('the shell comes back after exit, with a sane terminal, and after a massacre; fit asks the terminal; reboot reboots', async () => {
  await using qemu = new QemuGuest(guest);
  await qemu.expect(PROMPT);
  expect(await qemu.run('stty size; echo $TERM')).toBe('24 80\nxterm-256color\n');
  expect(await qemu.run('stty -echo -onlcr; exit')).toBe('');
  expect(await qemu.run('stty -a')).toMatch(/\scrtscts\s.*\sonlcr\s.*\secho\s/s);
  // Even when every process is killed but the first.
  for (let round = 0; round < 3; round += 1) {
    qemu.type('kill -KILL -1; sleep 1000\r');
    await qemu.expect(PROMPT);
  }
  expect(await qemu.run('ps | grep -c "[k]eep-console"; sh -c "ls /proc/$$/fd | wc -l"')).toBe('1\n4\n');
  qemu.type('fit\r');
  await qemu.expect(new RegExp(`9999;9999H${CURSOR_QUESTION}`));
  qemu.type('\x1b[33;101R');
  await qemu.expect(/101 columns, 33 rows/);
  await qemu.expect(PROMPT);
  expect(await qemu.run('stty size')).toBe('33 101\n');
  qemu.type('reboot\r');
  await qemu.expect(/reboot: Restarting system/);
  expect(await qemu.ended()).toBe(0);
});

test('fit gives up by itself when no terminal answers, and leaves the tty as it was', async () => {
  await using qemu = new QemuGuest(guest);
  await qemu.expect(PROMPT);
  expect(await qemu.run('fit')).toContain('fit: the terminal does not answer\n');
  expect(await qemu.run('stty -a; stty size')).toMatch(/\sicanon\s.*\secho\s.*24 80/s);
});

describe('the data disk', () => {
  test('is formatted when blank, kept over power-off and power cut, and other disks are left alone', async () => {
    const disk = blankDisk('data', 64 * MIB);
    const second = blankDisk('second', 8 * MIB);
    {
      await using qemu = new QemuGuest(guest, { disks: [{ file: disk }, { file: second }] });
      await qemu.expect(/Formatting the blank data disk/);
      // Typed while the guest still boots: must wait for the shell, whole.
      qemu.type('echo typed $((40 + 2)) early\r');
      await qemu.expect(/\/data: 64 MiB disk\./);
      await qemu.expect(/typed 42 early/);
      await qemu.expect(PROMPT);
      expect(await qemu.run('grep /data /proc/mounts')).toMatch(/^\/dev\/vda \/data ext4 rw,/);
      await qemu.run('echo first >/data/file');
      qemu.type('cd /data; sleep 1000 & poweroff\r');
      expect(await qemu.ended()).toBe(0);
    }
    {
      await using qemu = new QemuGuest(guest, { disks: [{ file: disk }, { file: second }] });
      await qemu.expect(PROMPT);
      expect(qemu.output).not.toMatch(/Formatting|checking/);
      expect(await qemu.run('cat /data/file')).toBe('first\n');
      await qemu.run('echo second >>/data/file; sync; echo unsynced >/data/lost');
      await qemu.kill();
    }
    {
      await using qemu = new QemuGuest(guest, { disks: [{ file: disk }] });
      await qemu.expect(/not unmounted in order or has errors; checking it/);
      await qemu.expect(PROMPT);
      expect(await qemu.run('cat /data/file; touch /data/writable && echo yes')).toBe('first\nsecond\nyes\n');
      // The kernel notes errors it meets in the superblock.
      await qemu.run('echo test >/sys/fs/ext4/vda/trigger_fs_error');
      qemu.type('halt\r');
      expect(await qemu.ended()).toBe(0);
    }
    {
      await using qemu = new QemuGuest(guest, { disks: [{ file: disk }] });
      await qemu.expect(/checking it/);
      await qemu.expect(/data: .*files.*blocks/);
      await qemu.expect(PROMPT);
      expect(await qemu.run('cat /data/file; touch /data/more && echo yes')).toBe('first\nsecond\nyes\n');
      qemu.type('poweroff\r');
      expect(await qemu.ended()).toBe(0);
    }
    {
      await using qemu = new QemuGuest(guest, { disks: [{ file: disk, readOnly: true }] });
      await qemu.expect(/\/data: 64 MiB disk, read-only\./);
      await qemu.expect(PROMPT);
      expect(qemu.output).not.toMatch(/checking/);
      expect(await qemu.run('cat /data/file; touch /data/new')).toMatch(/^first\nsecond\n.*Read-only file system/);
    }
    expect(readFileSync(second).every(byte => byte === 0)).toBe(true);
  });

  test.each([
    ['one byte at its start', 0],
    ['one byte inside the first MiB', MIB - 1],
    ['one byte at its end', 8 * MIB - 1],
  ])('is never formatted with %s', async (_, at) => {
    const disk = blankDisk(`foreign-${at}`, 8 * MIB);
    const contents = Buffer.alloc(8 * MIB);
    contents[at] = 1;
    writeFileSync(disk, contents);
    await using qemu = new QemuGuest(guest, { disks: [{ file: disk }] });
    await qemu.expect(/\/dev\/vda could not be mounted and is left alone\./);
    await qemu.expect(PROMPT);
    await qemu.run('sync');
    await qemu.kill();
    expect(readFileSync(disk).equals(contents)).toBe(true);
  });

  test('is left alone when it is too small', async () => {
    await using qemu = new QemuGuest(guest, { disks: [{ file: blankDisk('tiny', 512) }] });
    await qemu.expect(/\/dev\/vda is too small for a file system and is left alone\./);
    await qemu.expect(PROMPT);
  });

  test('is never formatted with a partition table', async () => {
    const disk = blankDisk('partitions', 8 * MIB);
    const contents = Buffer.alloc(8 * MIB);
    // A boot record with one Linux partition from sector 2048, 8192 sectors long.
    contents.set([0x83], 446 + 4);
    contents.writeUInt32LE(2048, 446 + 8);
    contents.writeUInt32LE(8192, 446 + 12);
    contents.set([0x55, 0xaa], 510);
    writeFileSync(disk, contents);
    await using qemu = new QemuGuest(guest, { disks: [{ file: disk }] });
    await qemu.expect(/\/dev\/vda has partitions and is left alone\./);
    await qemu.expect(PROMPT);
    await qemu.kill();
    expect(readFileSync(disk).equals(contents)).toBe(true);
  });
});
