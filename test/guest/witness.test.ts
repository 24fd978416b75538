// The witness of memory, code, page cache and two disks: checkpoints are taken at random instants under its load, with
// requests pending on slow disks, and every one of them is restored and goes on without a broken promise (C6-C11, C17).

import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { PendingStrategy } from '../../engine/api/checkpoints.ts';
import type { DiskSettings } from '../../engine/api/settings.ts';
import { disksTable } from '../../engine/checkpoint/about.ts';
import { closeChain, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { HostFolder } from '../../engine/host/disk-folder.ts';
import { openMachineDisk } from '../../engine/host/disk-open.ts';
import { LiveMachine } from '../framework/live-machine.ts';
import { openSlowDisk } from '../framework/slow-disk.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { installWitness, witnessDisk } from './witness/witness.ts';

const MIB = 2 ** 20;
/** Checkpoints for each strategy; `AFTERIMAGE_WITNESS_TAKES` for longer runs. */
const TAKES = Number(process.env.AFTERIMAGE_WITNESS_TAKES ?? 4);
const WORKERS = 12;
const LATENCY = 3;

const said = (text: string): number => Number(/witness (\d+) ok(?![\s\S]*witness \d+ ok)/.exec(text)?.[1] ?? 0);

function emptyDisk(folder: string, name: string): DiskSettings {
  const file = path.join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, 32 * MIB);
  return { path: file, format: 'raw', readonly: false, temporary: false };
}

/** A layer of its own on each frozen disk of a checkpoint. */
async function disksOf(machine: LiveMachine, id: string, folder: string, prefix = 'restored'): Promise<DiskSettings[]> {
  const reader = await machine.tree.open(id);
  const { disks } = (await reader.table(disksTable))!;
  await reader.close();
  const host = new HostFolder(folder);
  const settings: DiskSettings[] = [witnessDisk()];
  for (const { layer, format, device } of disks.slice(1)) {
    const chain = await openChain(host, { path: layer!, format }, { access: 'read', codecs: clusterCodecs });
    const overlay = await createOverlay(chain, `${prefix}-${id.slice(0, 8)}-${device}.qcow2`);
    settings.push({ path: path.join(folder, overlay.path), format: 'qcow2', readonly: false, temporary: false });
    await closeChain(overlay);
  }
  return settings;
}

async function isWell(machine: LiveMachine, least: number): Promise<void> {
  const { link } = machine;
  const from = link.output.length;
  await link.until('the witness', () => /(witness \d+ ok[\s\S]*){4}|BROKEN/.test(link.output.slice(from)));
  expect(link.output).not.toContain('BROKEN');
  expect(said(link.output.slice(from))).toBeGreaterThan(least);
}

test.each<PendingStrategy>(['copy', 'reissue', 'wait'])(
  'every checkpoint goes on where it was taken: %s',
  async pending => {
    const folder = temporaryFolder();
    const disks = [witnessDisk(), emptyDisk(folder, 'a.raw'), emptyDisk(folder, 'b.raw')];
    const slow = openSlowDisk(LATENCY);
    const openDisk = (settings: DiskSettings) => (settings.readonly ? openMachineDisk(settings) : slow(settings));
    const original = await LiveMachine.start({ folder, memory: 128 * MIB, disks, parts: { openDisk } });
    await original.prompt();
    await original.run(installWitness('vda'));
    original.type(`witness check /dev/vdb /dev/vdc ${WORKERS}\n`);
    await original.link.until('the witness to work', () => said(original.link.output) > 0);
    const taken: { id: string; reached: number }[] = [];
    let requests = 0;
    for (let round = 0; round < TAKES; round += 1) {
      // At whatever instant the guest has come to.
      const next = said(original.link.output) + Math.floor(Math.random() * 200);
      await original.link.until(
        'more work',
        () => said(original.link.output) > next || original.link.output.includes('BROKEN'),
      );
      const { id, pendingRequests } = await original.take({ pending });
      requests += pendingRequests;
      taken.push({ id, reached: next });
    }
    await isWell(original, taken.at(-1)!.reached);
    await original.stop();
    expect(requests).toBeGreaterThan(TAKES);
    for (const { id, reached } of taken) {
      const restored = await LiveMachine.restore(original, id, {
        folder,
        memory: 128 * MIB,
        disks: await disksOf(original, id, folder),
      });
      await isWell(restored, reached);
      await restored.stop();
    }
    // The witness would notice: memory of one moment with the disks of another is a broken promise.
    const disksOfLast = await disksOf(original, taken.at(-1)!.id, folder, 'mixed');
    const mixed = await LiveMachine.restore(original, taken[0]!.id, { folder, memory: 128 * MIB, disks: disksOfLast });
    await mixed.link.until('the witness to notice', () => mixed.link.output.includes('BROKEN'));
    await mixed.stop();
  },
);
