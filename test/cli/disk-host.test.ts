// What the host's file system can and cannot do for disks, as the command line tells it.
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { qemuCheck, qemuImg } from '../disk/qcow2/qemu.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

const cli = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');
const MIB = 2 ** 20;
const CLUSTER = 65_536;

function disk(cwd: string, words: readonly string[], env = process.env): Promise<{ status: number; out: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [cli, 'disk', ...words], { cwd, env }, (error, out) => {
      resolve({ status: error === null ? 0 : Number(error.code), out });
    });
  });
}

/** A host without util-linux. */
const bare = { ...process.env, PATH: '' };

function canReserve(folder: string): boolean {
  try {
    execFileSync('fallocate', ['--length', '4096', path.join(folder, 'try')], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const taken = (file: string) => statSync(file).blocks * 512;

it('space is taken from the start where that is asked for, and QEMU finds the image in order', async () => {
  const cwd = temporaryFolder();
  const reserves = canReserve(cwd);
  for (const preallocation of ['off', 'metadata', 'falloc', 'full']) {
    const file = path.join(cwd, `${preallocation}.qcow2`);
    const words = ['create', file, '4M', '-o', `preallocation=${preallocation}`, '--json'];
    const { status, out } = await disk(cwd, words);
    expect(status).toBe(0);
    const absent = preallocation === 'falloc' && !reserves;
    const made = absent ? { preallocation: 'metadata', absent: 'preallocation' } : { preallocation };
    expect(JSON.parse(out)).toEqual({ kind: 'create', ...made });
    expect(taken(file) >= 4 * MIB).toBe(preallocation === 'full' || (preallocation === 'falloc' && reserves));
    expect(await qemuCheck(file)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
    expect(await qemuImg('map', '--output=json', file)).toContain('"length": 4194304');
  }
  for (const preallocation of ['off', 'falloc', 'full']) {
    const file = path.join(cwd, `${preallocation}.raw`);
    expect((await disk(cwd, ['create', file, '4M', '-o', `preallocation=${preallocation}`])).status).toBe(0);
    expect(statSync(file).size).toBe(4 * MIB);
    expect(taken(file) >= 4 * MIB).toBe(preallocation === 'full' || (preallocation === 'falloc' && reserves));
    expect(readFileSync(file).every(byte => byte === 0)).toBe(true);
  }
  expect((await disk(cwd, ['create', 'no.raw', '4M', '-o', 'preallocation=metadata'])).status).toBe(2);
  const converted = await disk(cwd, ['convert', 'off.qcow2', 'to.raw', '-o', 'preallocation=full', '--json']);
  expect(JSON.parse(converted.out)).toEqual({ kind: 'convert', preallocation: 'full' });
  expect(taken(path.join(cwd, 'to.raw'))).toBeGreaterThanOrEqual(4 * MIB);
});

it('what the host cannot do is said', async () => {
  const cwd = temporaryFolder();
  const { status, out } = await disk(cwd, ['create', 'a.qcow2', '4M', '-o', 'preallocation=falloc'], bare);
  expect(status).toBe(0);
  expect(out).toMatch(/cannot reserve space/);
  const info = await disk(cwd, ['info', 'a.qcow2', '--json'], bare);
  expect(JSON.parse(info.out).host).toMatchObject({ discard: false, preallocation: false });
  const lines = (await disk(cwd, ['info', 'a.qcow2', '--backing-chain'], bare)).out;
  expect(lines).toMatch(/cannot take back what a guest discards/);
  expect(lines).toMatch(/cannot reserve space/);
  // Trying leaves nothing.
  expect(execFileSync('ls', ['-A', cwd], { encoding: 'utf8' })).toBe('a.qcow2\n');
});

it('what points nowhere is given up only when its owner says so', async () => {
  const cwd = temporaryFolder();
  const file = path.join(cwd, 'a.qcow2');
  writeFileSync(path.join(cwd, 'full.raw'), new Uint8Array(2 * CLUSTER).fill(1));
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', path.join(cwd, 'full.raw'), file);
  const bytes = readFileSync(file);
  const l1 = Number(bytes.readBigUInt64BE(40));
  const table = Number(bytes.readBigUInt64BE(l1) & 0xff_ffff_ffff_fe00n);
  bytes.writeBigUInt64BE((1n << 40n) | (1n << 63n), table + 8);
  writeFileSync(file, bytes);
  expect((await disk(cwd, ['check', 'a.qcow2'])).status).toBe(2);
  expect((await disk(cwd, ['check', 'a.qcow2', '--give-up-lost'])).status).toBe(2);
  const kept = await disk(cwd, ['check', 'a.qcow2', '--repair', '--json']);
  expect([kept.status, JSON.parse(kept.out)]).toMatchObject([2, { corruptions: 1, lost: 0 }]);
  const given = await disk(cwd, ['check', 'a.qcow2', '--repair', '--give-up-lost', '--json']);
  expect([given.status, JSON.parse(given.out)]).toMatchObject([0, { corruptions: 0, leaks: 0, lost: 1 }]);
  expect(await qemuCheck(file)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
});
