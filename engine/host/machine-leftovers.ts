// What a process that was killed, or a host whose power failed, left in a machine's folder: complete checkpoints that
// are not in the list yet, half-made files, layers that nobody stands on yet or any more.
import { readdirSync } from 'node:fs';
import { AfterimageError } from '../base/errors.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';
import { findJournals } from '../disk/jobs/journal.ts';
import { HostFolder } from './disk-folder.ts';
import { FileLock } from './file-lock.ts';
import { isProbe } from './host-abilities.ts';
import { CHECKPOINTS, DISKS, isOwnLayer, type MachineFolder } from './machine-folder.ts';
import type { MachineLayers } from './machine-layers.ts';
import { FILE } from './machine-stores.ts';

const PARTIAL = '.partial';
const JOB = '.job';
const LOCK = '.lock';

export class MachineLeftovers {
  readonly #folder: MachineFolder;
  readonly #host: HostFolder;
  /** What was in `disks/` before this process did anything there; what it makes itself is never looked at. */
  readonly #found: readonly string[];

  /** To be made before anything is done in the folder, which this process owns. */
  constructor(folder: MachineFolder) {
    this.#folder = folder;
    this.#host = new HostFolder(folder.path);
    this.#found = readdirSync(folder.inside(DISKS)).map(name => `${DISKS}/${name}`);
  }

  /**
   * Lists the checkpoints that were complete but for that: nothing of them is lost. One that is in the list with another
   * store was being moved there, or away; the copy goes. To be called before others see the tree.
   */
  async adopt(tree: CheckpointTree): Promise<void> {
    const waiting = (await tree.orphans()).filter(({ store }) => store === FILE);
    // One that builds on another comes after it.
    for (let left = waiting.map(({ id }) => id), before = 0; left.length !== before; ) {
      before = left.length;
      const next: string[] = [];
      for (const id of left) if (!(await adoptOne(tree, id))) next.push(id);
      left = next;
    }
    await this.#host.remove(`${CHECKPOINTS}/tree.json${PARTIAL}`);
  }

  /**
   * Removes half-made layers, and whole ones that nobody needs: overlays that were made and not yet recorded, and what
   * stood below checkpoints in memory. Only what bears a name that this program gives. What an interrupted job needs
   * stays; the job removes it when it goes on.
   */
  async sweep(layers: MachineLayers): Promise<void> {
    for (const name of this.#found) if (isHalfMade(name)) await this.#host.remove(name);
    const spoken = await this.#spokenFor();
    const own = this.#found.filter(name => isOwnLayer(name) && !spoken.has(name));
    if (own.some(name => !this.#isActive(name))) {
      const model = await layers.model();
      const unneeded = model.filter(({ path, neededBy }) => own.includes(path) && neededBy.length === 0);
      if (unneeded.length > 0) {
        await layers.suspect(unneeded.map(({ path }) => path));
        await layers.collect();
      }
    }
    for (const name of this.#found) await this.#removeLock(name);
    await this.#host.flush();
  }

  #isActive(name: string): boolean {
    return this.#folder.record.disks.some(({ file }) => file === name);
  }

  /** Files that the journals of interrupted jobs name. */
  async #spokenFor(): Promise<ReadonlySet<string>> {
    if (!this.#found.some(name => name.endsWith(JOB))) return new Set();
    const named = await namedByJournals(this.#folder.inside(DISKS));
    return new Set(named.map(name => `${DISKS}/${name}`));
  }

  /** The lock of a file that is not there any more. */
  async #removeLock(name: string): Promise<void> {
    if (!name.endsWith(LOCK)) return;
    const file = name.slice(0, -LOCK.length);
    if (!isOwnLayer(file.replace(/\.job$/, '')) || (await this.#host.exists(file))) return;
    FileLock.clear(this.#folder.inside(file));
  }
}

/** Names of files that the journals in a folder of disks speak of, as they are in that folder. */
export async function namedByJournals(disks: string): Promise<string[]> {
  const journals = await findJournals(new HostFolder(disks), []);
  return journals
    .flatMap(({ record }) => (record === undefined ? [] : [record.layer, record.base, record.to, ...record.spare]))
    .filter(name => name !== undefined);
}

function isHalfMade(name: string): boolean {
  if (!name.endsWith(PARTIAL)) return false;
  if (isProbe(name.slice(DISKS.length + 1))) return true;
  return isOwnLayer(name.slice(0, -PARTIAL.length).replace(/\.job$/, ''));
}

/** Whether it is settled; otherwise it may be later, or `verify` tells of it. */
async function adoptOne(tree: CheckpointTree, id: string): Promise<boolean> {
  const listed = tree.nodes.find(node => node.id === id);
  try {
    if (listed === undefined) await tree.adopt(FILE, id);
    else if (listed.bytes !== undefined) await tree.removeOrphan(FILE, id);
    return true;
  } catch (thrown) {
    const error = AfterimageError.from(thrown);
    if (error.kind === 'internal') throw error;
    return false;
  }
}
