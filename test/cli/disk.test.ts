// `afterimage disk` as a person runs it, beside QEMU's tools on the same files.
import { execFile } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random, randomBytes } from '../disk/qcow2/images.ts';
import { qemuCheck, qemuImg, qemuIo } from '../disk/qcow2/qemu.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

const cli = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function disk(cwd: string, ...words: string[]): Promise<Ended> {
  return new Promise(resolve => {
    execFile(process.execPath, [cli, 'disk', ...words], { cwd }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

async function ok(cwd: string, ...words: string[]): Promise<string> {
  const { status, out, err } = await disk(cwd, ...words);
  expect(err).toBe('');
  expect(status).toBe(0);
  return out;
}

const identical = async (a: string, b: string) => expect(await qemuImg('compare', a, b)).toMatch('identical');

it('bitmaps record what was written since they were added', async () => {
  const cwd = temporaryFolder();
  const bitmap = (...words: string[]) => ok(cwd, 'bitmap', ...words);
  await ok(cwd, 'create', 'base.qcow2', '8M');
  expect(await bitmap('add', 'base.qcow2', 'daily', '-g', '32K')).toBe('daily  32 KiB to a bit, records writes\n');
  await qemuIo(path.join(cwd, 'base.qcow2'), ['write -P 1 1M 32K']);
  await ok(cwd, 'create', 'raw.raw', '8M');
  expect((await disk(cwd, 'bitmap', 'add', 'raw.raw', 'daily')).err).toMatch(/a raw file cannot keep bitmaps/);
  expect(JSON.parse(await bitmap('map', '--json', 'base.qcow2', 'daily'))).toMatchObject({
    bitmaps: [{ name: 'daily', trusted: true }],
    ranges: [{ offset: 2 ** 20, length: 32_768 }],
  });
  await qemuImg('bitmap', '--clear', path.join(cwd, 'base.qcow2'), 'daily');
  expect(await bitmap('map', 'base.qcow2', 'daily')).toBe('start        length\n');
  expect(await bitmap('remove', 'base.qcow2', 'daily')).toBe('');
  expect((await disk(cwd, 'bitmap', 'map', 'base.qcow2', 'daily')).status).toBe(1);
  for (const words of [
    ['burn', 'base.qcow2', 'x'],
    ['add', 'base.qcow2'],
    ['list', 'base.qcow2', 'x'],
  ]) {
    expect((await disk(cwd, 'bitmap', ...words)).status).toBe(2);
  }
});

it('what other images stand on is not changed unasked', async () => {
  const cwd = temporaryFolder();
  await ok(cwd, 'create', 'base.qcow2', '8M');
  for (const name of ['one.qcow2', 'two.qcow2']) await ok(cwd, 'create', name, '-b', 'base.qcow2');
  await qemuIo(path.join(cwd, 'one.qcow2'), ['write -P 1 1M 32K']);
  for (const words of [
    ['commit', 'one.qcow2'],
    ['resize', 'base.qcow2', '16M'],
    ['rebase', '--unsafe', 'base.qcow2'],
  ]) {
    const { status, err } = await disk(cwd, ...words);
    expect(err).toMatch(
      /^afterimage: base\.qcow2: (one\.qcow2, )?two\.qcow2 stands? on it too and would be damaged; --force/,
    );
    expect(status).toBe(1);
  }
  await ok(cwd, 'stream', 'two.qcow2');
  await ok(cwd, 'commit', 'one.qcow2');
  await qemuIo(path.join(cwd, 'base.qcow2'), ['read -P 1 1M 32K']);
  expect(await ok(cwd, 'jobs', 'one.qcow2')).toBe('No job was interrupted\n');
});

describe('a chain of three', () => {
  async function chain(): Promise<{ cwd: string; file: (name: string) => string }> {
    const cwd = temporaryFolder();
    const file = (name: string) => path.join(cwd, name);
    writeFileSync(file('base.raw'), randomBytes(new Random(1), 3 * 2 ** 20));
    await ok(cwd, 'create', 'one.qcow2', '-b', 'base.raw');
    await ok(cwd, 'create', 'two.qcow2', '-b', 'one.qcow2', '-o', 'extended_l2=on,compression_type=zstd');
    await qemuIo(file('one.qcow2'), ['write -P 1 0 70000', 'write -z 1M 64K']);
    await qemuIo(file('two.qcow2'), ['write -P 2 4096 4096', 'discard 1M 64K']);
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', file('two.qcow2'), file('expected.raw'));
    return { cwd, file };
  }

  it('is described, drawn and mapped', async () => {
    const { cwd } = await chain();
    const info = JSON.parse(await ok(cwd, 'info', '--json', '--backing-chain', 'two.qcow2')) as {
      layers: { file: string; format: string; virtualSize: number }[];
    };
    expect(info.layers.map(({ file, format, virtualSize }) => [file, format, virtualSize])).toEqual([
      ['two.qcow2', 'qcow2', 3 * 2 ** 20],
      ['one.qcow2', 'qcow2', 3 * 2 ** 20],
      ['base.raw', 'raw', 3 * 2 ** 20],
    ]);
    expect(await ok(cwd, 'info', '--backing-chain', 'two.qcow2')).toMatch(/two\.qcow2 .*\n.*stands on\n.*\none\.qcow2/);
    expect(await ok(cwd, 'info', 'two.qcow2')).toMatch('backing file: one.qcow2 (qcow2)');
    const map = JSON.parse(await ok(cwd, 'map', '--json', 'two.qcow2')) as {
      entries: { start: number; length: number; depth: number; kind: string }[];
    };
    const theirs = JSON.parse(await qemuImg('map', '--output=json', path.join(cwd, 'two.qcow2'))) as {
      start: number;
      length: number;
      depth: number;
      zero: boolean;
    }[];
    const shape = (at: number) => {
      const our = map.entries.find(entry => entry.start <= at && at < entry.start + entry.length)!;
      const their = theirs.find(entry => entry.start <= at && at < entry.start + entry.length)!;
      return [our.kind === 'zero', their.zero, our.kind === 'zero' || our.depth === their.depth];
    };
    for (const at of [0, 4096, 8192, 69_000, 2 ** 20, 2 ** 20 + 65_536]) {
      const [our, their, depth] = shape(at);
      expect([at, our, depth]).toEqual([at, their, true]);
    }
  });

  it('is committed, and the emptied overlay reads the same', async () => {
    const { cwd, file } = await chain();
    await ok(cwd, 'commit', 'two.qcow2');
    await identical(file('two.qcow2'), file('expected.raw'));
    await identical(file('one.qcow2'), file('expected.raw'));
    await ok(cwd, 'commit', '-d', 'two.qcow2');
    await ok(cwd, 'commit', 'one.qcow2');
    await identical(file('base.raw'), file('expected.raw'));
    expect((await disk(cwd, 'info', 'two.qcow2')).status).toBe(1);
  });

  it('is streamed to one base or to none', async () => {
    const { cwd, file } = await chain();
    expect(await ok(cwd, 'stream', 'two.qcow2', '--base', 'base.raw')).toMatch('one.qcow2 is not needed');
    await identical(file('two.qcow2'), file('expected.raw'));
    await ok(cwd, 'stream', 'two.qcow2');
    expect(await ok(cwd, 'info', 'two.qcow2')).not.toMatch('backing');
    await identical(file('two.qcow2'), file('expected.raw'));
    expect(await qemuCheck(file('two.qcow2'))).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  });

  it('is converted, compacted, rebased and resized', async () => {
    const { cwd, file } = await chain();
    await ok(cwd, 'convert', '-c', 'two.qcow2', 'packed.qcow2');
    await identical(file('packed.qcow2'), file('expected.raw'));
    await ok(cwd, 'convert', 'two.qcow2', 'flat.raw');
    expect(readFileSync(file('flat.raw')).equals(readFileSync(file('expected.raw')))).toBe(true);
    await ok(cwd, 'compact', 'two.qcow2');
    await identical(file('two.qcow2'), file('expected.raw'));
    await ok(cwd, 'rebase', 'two.qcow2', '-b', 'base.raw');
    await identical(file('two.qcow2'), file('expected.raw'));
    expect((await disk(cwd, 'resize', '--', 'two.qcow2', '-1M')).err).toMatch('--shrink');
    await ok(cwd, 'resize', 'two.qcow2', '+300G');
    await ok(cwd, 'resize', '--shrink', 'two.qcow2', '3M');
    await identical(file('two.qcow2'), file('expected.raw'));
    for (const name of ['two.qcow2', 'packed.qcow2']) {
      expect(await qemuCheck(file(name))).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
    }
  });
});

it('leaks are found, told by the status, and mended', async () => {
  const cwd = temporaryFolder();
  await ok(cwd, 'create', 'a.qcow2', '8M');
  await qemuIo(path.join(cwd, 'a.qcow2'), ['write 0 1M']);
  const bytes = readFileSync(path.join(cwd, 'a.qcow2'));
  const table = Number(bytes.readBigUInt64BE(48));
  const block = Number(bytes.readBigUInt64BE(table));
  bytes.writeUInt16BE(1, block + 2 * 100);
  writeFileSync(path.join(cwd, 'a.qcow2'), bytes);
  const found = await disk(cwd, 'check', 'a.qcow2');
  expect([found.status, found.out]).toEqual([3, expect.stringMatching(/1 leaked/)]);
  expect(await ok(cwd, 'check', '--repair', 'a.qcow2')).toMatch('Repaired');
  await ok(cwd, 'check', 'a.qcow2');
});

it('nothing outside the folder is followed, and the reason is said', async () => {
  const cwd = temporaryFolder();
  writeFileSync(path.join(cwd, 'outside.raw'), new Uint8Array(65_536));
  for (const backing of ['/etc/hostname', '../outside.raw', 'json:{"driver":"raw","file":{"driver":"null-co"}}']) {
    const image = path.join(cwd, 'evil.qcow2');
    await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', backing, '-F', 'raw', image, '1M');
    const { status, err } = await disk(cwd, 'map', 'evil.qcow2');
    expect([backing, status]).toEqual([backing, 1]);
    expect(err).toMatch('is refused');
    // The image itself can still be looked at.
    await ok(cwd, 'info', 'evil.qcow2');
  }
  const inner = temporaryFolder();
  symlinkSync(path.join(cwd, 'outside.raw'), path.join(inner, 'link.raw'));
  await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', 'link.raw', '-F', 'raw', path.join(inner, 'a.qcow2'), '1M');
  expect((await disk(inner, 'map', 'a.qcow2')).err).toMatch('link leads out');
});

it('a raw disk is raw whatever a guest has written into it', async () => {
  const cwd = temporaryFolder();
  await ok(cwd, 'create', 'inner.qcow2', '1M');
  writeFileSync(path.join(cwd, 'disk.raw'), readFileSync(path.join(cwd, 'inner.qcow2')));
  expect(await ok(cwd, 'info', 'disk.raw')).toMatch('format: raw');
  expect(await ok(cwd, 'info', '-f', 'qcow2', 'disk.raw')).toMatch('format: qcow2');
});

it('mistakes are one line and status 2', async () => {
  const cwd = temporaryFolder();
  for (const words of [
    ['create', 'a.qcow2', '12Q'],
    ['info', 'a', 'b'],
    ['create', 'a.qcow2', '-o', 'magic=on', '1M'],
    ['fly'],
  ]) {
    const { status, err } = await disk(cwd, ...words);
    expect([words, status, err.trim().split('\n').length]).toEqual([words, 2, 1]);
  }
});
