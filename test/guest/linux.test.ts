// The default guest on our machine, through the command line as a person uses it (@req P4).
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GuestSession, PROMPT } from '../framework/guest-session.ts';
import { processorShare } from '../framework/processor-time.ts';

const MIB = 2 ** 20;
const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-linux-'));
afterAll(() => rmSync(folder, { recursive: true }));

function blankDisk(name: string, size = 64 * MIB): string {
  const file = path.join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, size);
  return file;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Text in lines that a canonical tty takes, different everywhere. */
function manyLines(bytes: number): Buffer {
  return Buffer.from(
    randomBytes(Math.ceil((bytes * 3) / 4))
      .toString('base64')
      .replace(/.{76}/g, '$&\n')
      .slice(0, bytes - 1)
      .concat('\n'),
  );
}

describe('a shell on the serial console', () => {
  let guest: GuestSession;
  beforeAll(async () => {
    guest = new GuestSession([]);
    await guest.ready();
  }, 300_000);
  afterAll(() => guest[Symbol.asyncDispose]());

  test('is that of an unmodified Debian kernel on a RISC-V machine', async () => {
    expect(await guest.command('uname -a')).toMatch(
      /^Linux afterimage 6\.12\.\d+\+deb13-riscv64 .* riscv64 GNU\/Linux\n/,
    );
    const isa = await guest.command('cat /proc/cpuinfo');
    for (const extension of ['zba', 'zbb', 'zbs', 'zicond', 'sstc'])
      expect(isa).toMatch(new RegExp(`isa.*_${extension}`));
  });

  test('gives exit statuses, pipes and job control', async () => {
    expect(await guest.command('false; echo status $?')).toContain('status 1\n');
    expect(await guest.command("seq 1000 | awk '{ s += $1 } END { print s }'")).toContain('500500\n');
    await guest.command('sleep 1000 &');
    expect(await guest.command('jobs')).toMatch(/\[1\].*Running.*sleep 1000/);
    expect(await guest.command('kill %1; wait %1; echo gone $?')).toContain('gone 143');
  });

  test('interrupts the program in front with ^C and stops it with ^Z', async () => {
    // The program says when it is in front; the shell's echo of the line must not be taken for that.
    const begin = async () => {
      await guest.send("sh -c 'echo be''gun; exec sleep 1000'\n");
      await guest.waitFor('begun');
    };
    await begin();
    await guest.send('\x03');
    await guest.waitFor(PROMPT);
    expect(await guest.command('echo $?')).toContain('130');
    await begin();
    await guest.send('\x1a');
    await guest.waitFor(PROMPT);
    expect(await guest.command('jobs')).toMatch(/Stopped.*sleep 1000/);
    await guest.command('kill -9 %1; wait');
  });

  test('keeps its terminal settings over stty', async () => {
    expect(await guest.command('stty -a')).toMatch(/ crtscts/);
    await guest.command('stty -echo');
    await guest.send('echo quiet\n');
    expect((await guest.waitFor(PROMPT)).replaceAll('\r', '')).toBe('quiet\n');
    await guest.send('stty echo\n');
    await guest.waitFor(PROMPT);
    await guest.command('stty rows 50 cols 132');
    expect(await guest.command('stty size')).toContain('50 132\n');
  });

  test('computes the right SHA-256 of 100 MB', async () => {
    const digest = sha256(Buffer.alloc(100_000_000));
    expect(await guest.command('dd if=/dev/zero bs=100000 count=1000 2>/dev/null | sha256sum')).toContain(digest);
  });

  test('has a clock that goes as fast as ours', async () => {
    const ask = async () => Number.parseInt(await guest.command('date +%s'), 10);
    expect(Math.abs((await ask()) - Date.now() / 1000)).toBeLessThan(5);
  });

  test('lets random numbers flow from the host', async () => {
    expect(await guest.command('cat /sys/class/misc/hw_random/rng_current')).toContain('virtio_rng');
    expect(await guest.command('head -c 4096 /dev/hwrng | wc -c')).toContain('4096');
  });
});

describe('bulk data through the console', () => {
  const SIZE = 20_000_000;

  test('20 MB pasted into a file arrive byte for byte', { timeout: 400_000 }, async () => {
    await using guest = new GuestSession(['--memory', '256M']);
    await guest.ready();
    const text = manyLines(SIZE);
    await guest.send('stty -echo; cat >/tmp/pasted\n');
    await guest.waitFor('cat >/tmp/pasted');
    await guest.send(text);
    await guest.send('\x04');
    await guest.waitFor(PROMPT);
    await guest.send('stty echo\n');
    await guest.waitFor(PROMPT);
    expect(await guest.command('sha256sum </tmp/pasted; wc -c </tmp/pasted')).toContain(sha256(text));
  });

  test('20 MB shown arrive byte for byte', { timeout: 400_000 }, async () => {
    await using guest = new GuestSession(['--memory', '256M']);
    await guest.ready();
    // Bytes of every value, and no newline that the line discipline would change.
    await guest.command('stty raw -echo; head -c 20000000 /dev/urandom >/tmp/random; sha256sum </tmp/random');
    const digest = /[0-9a-f]{64}/.exec(guest.output.toString('latin1'))?.[0];
    const before = guest.output.length;
    await guest.send('printf BEGIN; cat /tmp/random; printf END; stty sane crtscts; poweroff\n');
    expect(await guest.exit()).toBe(0);
    const shown = guest.output.subarray(before);
    const begin = shown.lastIndexOf('BEGIN', 200) + 'BEGIN'.length;
    expect(sha256(shown.subarray(begin, begin + SIZE))).toBe(digest);
    expect(shown.subarray(begin + SIZE, begin + SIZE + 3).toString()).toBe('END');
  });
});

describe('disks', () => {
  test('a blank one is formatted, mounted at /data and kept over power cycles', { timeout: 200_000 }, async () => {
    const disk = blankDisk('kept.raw');
    {
      await using guest = new GuestSession(['--disk', disk]);
      await guest.ready();
      expect(await guest.command('mount')).toMatch(/\/dev\/vda on \/data type ext[24]/);
      expect(
        await guest.command('head -c 5000000 /dev/urandom >/data/file; sha256sum </data/file >/data/sum; echo ok'),
      ).toContain('ok');
      await guest.send('poweroff\n');
      expect(await guest.exit()).toBe(0);
    }
    {
      await using guest = new GuestSession(['--disk', disk]);
      await guest.ready();
      expect(await guest.command('sha256sum </data/file | cmp - /data/sum && echo same')).toContain('same');
      // A restart goes through the same files and comes to the same prompt.
      await guest.send('reboot\n');
      // The old shell may show a prompt once more on its way out.
      await guest.waitFor('Linux version');
      await guest.ready();
      expect(await guest.command('sha256sum </data/file | cmp - /data/sum && echo same')).toContain('same');
      await guest.send('poweroff\n');
      expect(await guest.exit()).toBe(0);
    }
  });

  test('temporary and read-only ones leave their files alone', { timeout: 200_000 }, async () => {
    const first = blankDisk('temporary.raw');
    const second = path.join(folder, 'readonly.raw');
    writeFileSync(second, randomBytes(MIB));
    await using guest = new GuestSession([
      '--disk',
      `${first},temporary`,
      '--disk',
      `${second},readonly`,
      '--input',
      '-',
    ]);
    await guest.ready();
    expect(await guest.command('echo kept in memory >/data/note; sync; cat /data/note')).toContain('kept in memory');
    expect(await guest.command('cat /sys/block/vdb/ro')).toContain('1');
    expect(await guest.command('sha256sum </dev/vdb')).toContain(sha256(readFileSync(second)));
    await guest.send('poweroff\n');
    expect(await guest.exit()).toBe(0);
    expect(readFileSync(first).every(byte => byte === 0)).toBe(true);
  });
});

describe('an idle guest', () => {
  test('costs next to no processor time', { timeout: 120_000 }, async () => {
    await using guest = new GuestSession([]);
    await guest.ready();
    await guest.command('true');
    const usage = await processorShare(guest.pid, 10_000);
    // The figure to hold is 2 % (bench); here a bound that no noise reaches and a busy wait cannot pass.
    expect(usage).toBeLessThan(0.1);
  });
});
