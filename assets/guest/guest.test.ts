// Builds the guest from made-up packages: the whole way but for the network and Debian's own files.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { FakeDebian, RELEASE } from '../../test/guest/fake-debian.ts';
import { readCpio } from '../../test/guest/read-cpio.ts';
import { ensureGuest, type GuestOptions, type GuestProgress } from './guest.ts';
import { APPEND, recipeHash } from './recipe.ts';

let shared = '';
let debian: FakeDebian;
let cacheDir = '';

beforeAll(() => {
  shared = mkdtempSync(path.join(tmpdir(), 'afterimage-debian-'));
  debian = new FakeDebian(shared);
});
afterAll(() => rmSync(shared, { recursive: true }));

beforeEach(() => {
  cacheDir = mkdtempSync(path.join(tmpdir(), 'afterimage-guests-'));
  vi.stubEnv('PATH', `${debian.programs}${path.delimiter}${process.env.PATH}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  debian.reset();
  rmSync(cacheDir, { recursive: true });
});

function ensure(options: GuestOptions = {}) {
  return ensureGuest({ cacheDir, aptFolder: debian.aptFolder, ...options });
}

/** What the cache holds; a failed build must leave nothing. */
function cached(): string[] {
  return readdirSync(path.join(cacheDir, 'guest'));
}

test('the first start builds the guest with progress, the next needs neither apt nor network', async () => {
  const steps: GuestProgress[] = [];
  const guest = await ensure({ onProgress: progress => steps.push(progress) });
  expect(guest).toEqual({
    kernel: path.join(cacheDir, 'guest', recipeHash(), 'kernel'),
    initrd: path.join(cacheDir, 'guest', recipeHash(), 'initrd'),
    append: APPEND,
    hash: recipeHash(),
  });
  expect(cached()).toEqual([guest.hash]);
  expect(readdirSync(path.dirname(guest.kernel)).sort()).toEqual(['initrd', 'kernel', 'manifest.json']);
  expect(steps.map(({ step }) => step)).toContain('Unpacking the kernel');
  const half = steps.find(({ done }) => done !== undefined && done > 0)!;
  expect(half.done! / half.total!).toBeCloseTo(0.5, 2);

  debian.failAt('update', 'E: no network');
  const callsBefore = debian.calls.length;
  expect(await ensure()).toEqual(guest);
  expect(debian.calls.length).toBe(callsBefore);
});

test('the initramfs holds our files, the packages, modules with their tables, applets and devices', async () => {
  const guest = await ensure();
  const entries = new Map(readCpio(readFileSync(guest.initrd)).map(entry => [entry.path, entry]));
  const text = (name: string) => Buffer.from(entries.get(name)!.data).toString();
  expect(entries.get('init')!.mode).toBe(0o100755);
  expect(text('bin/mke2fs')).toBe('contents of usr/sbin/mke2fs');
  expect(entries.get('bin/mke2fs')!.mode).toBe(0o100755);
  expect(entries.get('etc/mke2fs.conf')!.mode).toBe(0o100644);
  expect(entries.get('lib/ld-linux-riscv64-lp64d.so.1')!.mode).toBe(0o100755);
  expect(text('bin/mount')).toBe('busybox');
  expect(entries.get('bin/mount')!.mode).toBe(0o120777);
  expect(text('sbin')).toBe('bin');
  expect(entries.get('dev/console')).toMatchObject({ mode: 0o020600, deviceMajor: 5, deviceMinor: 1 });
  expect(entries.get('.')!.mode).toBe(0o040755);
  expect(text(`lib/modules/${RELEASE}/modules.dep`)).toContain('ext4.ko: jbd2.ko\n');
  expect(entries.has(`lib/modules/${RELEASE}/virtio_blk.ko`)).toBe(true);
  expect(readFileSync(guest.kernel).toString('latin1', 0x30, 0x35)).toBe('RISCV');
  const manifest = JSON.parse(readFileSync(path.join(path.dirname(guest.kernel), 'manifest.json'), 'utf8'));
  expect(manifest).toMatchObject({ hash: guest.hash, kernelRelease: RELEASE });
  expect(manifest.packages.find(({ name }: { name: string }) => name === 'busybox-static')).toMatchObject({
    version: '1',
  });
});

test("apt is asked through a private state, with signatures and without the machine's hooks", async () => {
  const configurations: string[] = [];
  const guest = await ensure({
    onProgress: ({ step }) => {
      if (step !== 'Downloading packages' || configurations.length > 0) return;
      const draft = cached().find(name => name.startsWith('.new-'))!;
      const folder = path.join(cacheDir, 'guest', draft, 'work/apt');
      configurations.push(readFileSync(path.join(folder, 'apt.conf'), 'utf8'));
      configurations.push(readFileSync(path.join(folder, 'debian.sources'), 'utf8'));
    },
  });
  const [configuration, sources] = configurations;
  expect(configuration).toContain(`Dir::State "${path.dirname(path.dirname(guest.kernel))}/.new-`);
  expect(configuration).toMatch(/#clear APT::Update::Post-Invoke;/);
  expect(configuration).toMatch(/Acquire::AllowInsecureRepositories "false";/);
  expect(sources).toMatch(/^URIs: http:\/\/mirror\.example\/debian$/m);
  expect(sources).not.toMatch(/trusted/i);
  expect(debian.calls.every(call => / -c \S+\/apt\.conf /.test(call))).toBe(true);
});

test('two starts at once build once; the second waits and says for whom', async () => {
  debian.holdDownloads(true);
  const steps: string[] = [];
  let building: () => void = () => {};
  const isBuilding = new Promise<void>(resolve => {
    building = resolve;
  });
  const first = ensure({ onProgress: ({ done }) => done && building() });
  await isBuilding;
  let waiting: () => void = () => {};
  const isWaiting = new Promise<void>(resolve => {
    waiting = resolve;
  });
  const second = ensure({
    onProgress: ({ step }) => {
      steps.push(step);
      waiting();
    },
  });
  await isWaiting;
  debian.holdDownloads(false);
  expect(await second).toEqual(await first);
  expect(steps).toEqual([`Waiting for process ${process.pid}, which is building the guest`]);
  expect(debian.calls.filter(call => call.includes(' download '))).toHaveLength(1);
  expect(cached()).toEqual([recipeHash()]);
});

test.each([
  ['update', 'E: Could not connect', { kind: 'io', message: expect.stringMatching(/Could not connect.*--kernel/) }],
  ['show', 'E: No packages found', { kind: 'missing', message: expect.stringMatching(/no package linux-image/) }],
  ['download', 'E: Hash Sum mismatch', { kind: 'io', message: expect.stringContaining('Hash Sum mismatch') }],
  [
    'download',
    'E: No space left on device',
    { kind: 'no-space', message: expect.stringContaining('guest needs about') },
  ],
])('when %s fails with "%s" nothing is left behind, and the next start succeeds', async (word, says, error) => {
  debian.failAt(word, says);
  await expect(ensure()).rejects.toMatchObject(error);
  expect(cached()).toEqual([]);
  debian.failAt(word, undefined);
  expect((await ensure()).hash).toBe(recipeHash());
});

test('a build that is given up ends its programs and leaves nothing behind', async () => {
  debian.holdDownloads(true);
  const abort = new AbortController();
  const build = ensure({ signal: abort.signal, onProgress: ({ done }) => done && abort.abort() });
  await expect(build).rejects.toMatchObject({ name: 'AbortError' });
  expect(cached()).toEqual([]);
});

test('what a killed build left is removed by the next', async () => {
  mkdirSync(path.join(cacheDir, 'guest/.new-1-dead/work'), { recursive: true });
  await ensure();
  expect(cached()).toEqual([recipeHash()]);
});

test('force builds again and replaces the guest whole', async () => {
  const guest = await ensure();
  writeFileSync(guest.kernel, 'changed by hand');
  await ensure({ force: true });
  expect(readFileSync(guest.kernel).toString('latin1', 0x30, 0x35)).toBe('RISCV');
});

test('a machine without apt is told what to pass instead', async () => {
  vi.stubEnv('PATH', cacheDir);
  await expect(ensure()).rejects.toMatchObject({
    kind: 'unsupported',
    message: expect.stringMatching(/no apt-get: .*--kernel and --initrd/),
  });
});

test('a machine without a Debian mirror is told what to do', async () => {
  await expect(ensure({ aptFolder: cacheDir })).rejects.toMatchObject({
    kind: 'unsupported',
    message: expect.stringMatching(/needs a Debian mirror.*--kernel and --initrd/),
  });
});
