// What jobs do for each file that happens to lie in the folder of a disk: nothing that takes time.
import { expect, it } from 'vitest';
import { createWhole } from '../../engine/disk/chain/folder.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { commit } from '../../engine/disk/jobs/commit.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { overlaysOf } from '../../engine/disk/jobs/resume.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { HostFolder } from '../../engine/host/disk-folder.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

/** Opening takes a lock, and waits a while for one that somebody has. */
class CountingFolder extends HostFolder {
  readonly at: string;
  opened = 0;

  constructor(root: string) {
    super(root);
    this.at = root;
  }

  override open(name: string, mode: 'read' | 'write') {
    this.opened += 1;
    return super.open(name, mode);
  }
}

async function runningChain(layers: number): Promise<{ folder: CountingFolder; live: LiveDisk }> {
  const folder = new CountingFolder(temporaryFolder());
  await createWhole(folder, 'layer0.qcow2', file => createImage(file, { size: 1 << 20 }));
  const chain = await openChain(folder, { path: 'layer0.qcow2', format: 'qcow2' }, { access: 'write' });
  const live = new LiveDisk(chain);
  for (let index = 1; index < layers; index += 1) {
    await live.write(index * 4096, [new Uint8Array(4096).fill(index)]);
    await live.switchTo(await createOverlay(live.active, `layer${index}.qcow2`)).frozen;
  }
  return { folder, live };
}

async function opensOfCommit(layers: number): Promise<number> {
  const { folder, live } = await runningChain(layers);
  try {
    const job = new Job('commit', { now: () => 0, wait: async () => undefined }, () => undefined);
    const parts = { live, job, newName: () => 'new.qcow2', record: async () => undefined, needed: () => undefined };
    const before = folder.opened;
    await commit(parts, layersFrom(live.active)[1]!);
    return folder.opened - before;
  } finally {
    await live.close();
  }
}

it('a commit opens and locks no more files when many layers lie in the folder', async () => {
  expect(await opensOfCommit(40)).toBe(await opensOfCommit(4));
});

it('an overlay that a running machine writes to is known to stand on its file', async () => {
  const { folder, live } = await runningChain(2);
  try {
    // As another process sees it, which may not open the overlay.
    await expect(new HostFolder(folder.at).open('layer1.qcow2', 'read')).rejects.toMatchObject({ kind: 'locked' });
    expect(await overlaysOf(new HostFolder(folder.at), 'layer0.qcow2')).toEqual(['layer1.qcow2']);
  } finally {
    await live.close();
  }
});
