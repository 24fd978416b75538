// Layers that nobody needs: listed, and deleted when their owner says so; what is needed is not.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { JobView, LayerView } from '../../engine/api/control.ts';
import { runDiskCommand } from '../../engine/host/disk-commands.ts';
import { type Owner, own, smallMachine } from './machine-owner.ts';

const SIZE = 2 ** 20;

async function layers({ connection }: Owner): Promise<readonly LayerView[]> {
  return (await connection.call('disks', {})).flatMap(disk => disk.layers);
}

async function unneeded(owner: Owner): Promise<string[]> {
  return (await layers(owner)).filter(({ may }) => may.delete.allowed).map(({ path: layer }) => layer);
}

async function deleted(owner: Owner, layer: string): Promise<JobView> {
  const { job } = await owner.connection.call('disk-job', { disk: 0, kind: 'delete', layer });
  for (;;) {
    const found = (await owner.connection.call('jobs', {})).find(one => one.job === job);
    if (found !== undefined && found.state !== 'running') return found;
    const seen = owner.events.length;
    await owner.until(`the end of job ${job}`, () => owner.events.length > seen);
  }
}

async function put(folder: string, name: string, backing?: string): Promise<string> {
  const below = backing === undefined ? {} : { backing: { name: backing, format: 'qcow2' as const } };
  const file = path.join(folder, 'disks', name);
  await runDiskCommand({ kind: 'create', file, format: 'qcow2', size: SIZE, options: {}, ...below }, () => undefined);
  return `disks/${name}`;
}

test('what the host can do for its disks is told with them, and what a killed process left of finding out goes', async () => {
  const folder = await smallMachine('idle', { disks: [{ kind: 'new', size: SIZE, format: 'qcow2' }] });
  const left = path.join(folder, 'disks', '.probe-0123456789ab.partial');
  writeFileSync(left, 'x');
  const owner = own(folder);
  const [disk] = await owner.connection.call('disks', {});
  const told = { discard: expect.any(Boolean), reflink: expect.any(Boolean), preallocation: expect.any(Boolean) };
  expect(disk!.host).toEqual(told);
  // It looks at what is left over.
  await owner.connection.call('verify', { deep: false });
  expect(readdirSync(path.join(folder, 'disks')).filter(name => name.includes('probe'))).toEqual([]);
});

test('a layer that nobody needs is listed and deleted, from the top; any other is refused with the reason', async () => {
  const folder = await smallMachine('idle', { disks: [{ kind: 'new', size: SIZE, format: 'qcow2' }] });
  const owner = own(folder);
  const [active] = await layers(owner);
  expect(await unneeded(owner)).toEqual([]);
  // Made behind the machine's back, after it has looked for what a crash may have left.
  const below = await put(folder, 'disk0-below.qcow2');
  const top = await put(folder, 'disk0-top.qcow2', 'disk0-below.qcow2');
  expect(await unneeded(owner)).toEqual([top]);
  const asked = { disk: 0, kind: 'delete', layer: top } as const;
  const preview = await owner.connection.call('disk-job-preview', asked);
  expect(preview).toMatchObject({ allowed: true, bytesToCopy: 0 });
  expect(preview.bytesFreed).toBeGreaterThan(0);
  for (const [layer, reason] of [
    [active!.path, /machine .* needs it/],
    [below, /stands on it/],
  ] as const) {
    const given = { ...asked, layer };
    expect((await owner.connection.call('disk-job-preview', given)).reason).toMatch(reason);
    await expect(owner.connection.call('disk-job', given)).rejects.toMatchObject({ kind: 'state' });
    expect(existsSync(path.join(folder, layer))).toBe(true);
  }
  expect(await deleted(owner, top)).toMatchObject({ state: 'done', outcome: `${preview.bytesFreed} bytes freed` });
  expect(existsSync(path.join(folder, top))).toBe(false);
  expect(await unneeded(owner)).toEqual([below]);
  expect(await deleted(owner, below)).toMatchObject({ state: 'done' });
  expect((await layers(owner)).map(({ path: layer }) => layer)).toEqual([active!.path]);
  const foreign = await put(folder, 'of-somebody-else.qcow2');
  expect(await unneeded(owner)).toEqual([foreign]);
});
