import { describe, expect, it } from 'vitest';
import { MOST_RANGES } from '../api/disk.ts';
import { AfterimageError } from '../base/errors.ts';
import { checkDiskCommand } from './disk-command-checks.ts';
import { checkBitmapAction, checkDiskJobCommand } from './disk-job-checks.ts';

const file = { file: 'a.qcow2', format: 'qcow2' };
const job = { kind: 'disk-job', disk: 0, job: 'overlay', keep: [] };

const refused = (check: () => unknown) => {
  try {
    check();
  } catch (thrown) {
    return AfterimageError.from(thrown).kind;
  }
  return undefined;
};

describe('commands of disk processes', () => {
  it.each([
    { kind: 'create', ...file, size: 512, options: { clusterSize: 65_536, version: 3, compression: 'zstd' } },
    { kind: 'create', ...file, backing: { name: 'b', format: 'raw' }, options: {} },
    { kind: 'info', ...file, backingChain: true, backingFormat: 'raw' },
    { kind: 'resize', ...file, size: -512, relative: true, shrink: true, force: false },
    { kind: 'rebase', ...file, backing: undefined, unsafe: false, force: false },
    { kind: 'stream', ...file },
    { kind: 'bitmap', ...file, action: 'map', name: 'b', from: MOST_RANGES },
  ])('are accepted: %j', command => {
    expect(checkDiskCommand(command)).toBe(command);
  });

  it.each([
    undefined,
    null,
    'info',
    [],
    {},
    { kind: 'toString', ...file },
    { kind: '__proto__', ...file },
    { kind: 'info', ...file },
    { kind: 'info', ...file, file: 'a\0b', backingChain: true },
    { kind: 'info', ...file, format: 'vmdk', backingChain: true },
    { kind: 'map', ...file, extra: 1 },
    { kind: 'create', ...file, size: 1.5, options: {} },
    { kind: 'create', ...file, size: Number.NaN, options: {} },
    { kind: 'create', ...file, options: { clusterSize: '64K' } },
    { kind: 'create', ...file, options: { other: 1 } },
    { kind: 'rebase', ...file, backing: 'b', unsafe: false, force: false },
    { kind: 'commit', ...file, remove: 'yes', force: false },
    { kind: 'bench', ...file, count: 0, depth: 1, requestBytes: 512, write: false, random: false },
    { kind: 'bitmap', ...file, action: 'burn', name: 'b' },
    { kind: 'bitmap', ...file, action: 'add' },
    { kind: 'bitmap', ...file, action: 'add', name: 'b'.repeat(1024) },
  ])('are refused: %j', command => {
    expect(refused(() => checkDiskCommand(command))).toBe('usage');
  });
});

describe('commands for the disks of a running machine', () => {
  it.each([
    job,
    { ...job, job: 'copy', to: 'backup/a.qcow2', sparse: true, layer: 'disks/a.qcow2' },
    { ...job, job: 'resize', size: 2 ** 40, keep: ['a', 'b/c'] },
    { ...job, restartBitmaps: ['daily'], bytesPerSecond: 1 },
    { kind: 'disk-job-limit', disk: 1 },
    { kind: 'disk-bitmap', disk: 0, request: 7, does: { action: 'list' } },
  ])('are accepted: %j', command => {
    expect(checkDiskJobCommand(command as never)).toBe(command);
  });

  it.each([
    { ...job, disk: -1 },
    { ...job, disk: '0' },
    { ...job, job: 'burn' },
    { ...job, keep: undefined },
    { ...job, keep: [7] },
    { ...job, layer: '../a' },
    { ...job, layer: '/etc/passwd' },
    { ...job, layer: 'json:{}' },
    { ...job, job: 'copy' },
    { ...job, job: 'copy', to: 'a/../../b' },
    { ...job, job: 'resize' },
    { ...job, job: 'resize', size: Number.POSITIVE_INFINITY },
    { ...job, bytesPerSecond: 0 },
    { ...job, compress: 'yes' },
    { ...job, restartBitmaps: [''] },
    { kind: 'disk-job-limit', disk: 0, bytesPerSecond: -1 },
    { kind: 'disk-bitmap', disk: 0, request: 'a', does: { action: 'list' } },
    { kind: 'disk-bitmap', disk: 0, request: 1, does: null },
  ])('are refused: %j', command => {
    expect(refused(() => checkDiskJobCommand(command as never))).toMatch(/usage|denied/);
  });

  it('bitmaps are asked for by name', () => {
    expect(refused(() => checkBitmapAction({ action: 'map' }))).toBe('usage');
    expect(checkBitmapAction({ action: 'map', name: 'b' })).toEqual({ action: 'map', name: 'b' });
  });
});
