// Checkpoints that go: by wish, or as the machine's policy for automatic ones has it; what they leave goes in a job.
import { AfterimageError } from '../base/errors.ts';
import { expired } from '../checkpoint/retention.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';
import type { MachineHost } from './machine-host.ts';
import { retentionPolicy } from './machine-tree.ts';

export class MachineDeletions {
  readonly #host: MachineHost;
  readonly #cleaning = new Set<Promise<unknown>>();

  constructor(host: MachineHost) {
    this.#host = host;
  }

  /** Takes checkpoints off the list; their files and layers go in a job, as far as nothing else needs them. */
  async delete(id: string, subtree: boolean): Promise<readonly string[]> {
    const tree = await this.#host.tree();
    const { suspended } = this.#host.folder.process;
    const going = subtree ? subtreeOf(tree, id) : [tree.node(id).id];
    if (suspended !== undefined && going.includes(suspended)) {
      throw new AfterimageError('state', 'The machine is suspended there; start it first', { id: suspended });
    }
    if (this.#host.runs.goal !== undefined && going.includes(this.#host.runs.goal)) {
      throw new AfterimageError('state', 'The machine is about to go back there', { id: this.#host.runs.goal });
    }
    await this.#lettingGo(going, async () => {
      if (subtree) await tree.deleteSubtree(id, { merge: 'later' });
      else await tree.delete(id, { merge: 'later' });
    });
    this.#host.announce({ event: 'tree' });
    this.cleanUp(tree.nodes.length === 0 ? 'all' : 'deleted checkpoints');
    return going;
  }

  /** Lets automatic checkpoints go as the machine's policy wants it. */
  async retain(): Promise<void> {
    const tree = await this.#host.tree();
    const policy = retentionPolicy(this.#host.folder.record.automatic.retention);
    const { folder, runs } = this.#host;
    const mayGo = (id: string) => id !== folder.process.suspended && id !== runs.goal;
    const going = expired(tree.nodes, policy, tree.current).filter(mayGo);
    if (going.length === 0) return;
    await this.#lettingGo(going, async () => {
      // A person may have decided to keep one meanwhile.
      await tree.retain(policy, { merge: 'later', mayGo: id => going.includes(id) && mayGo(id) });
    });
    this.#host.announce({ event: 'tree' });
    this.cleanUp('old automatic checkpoints', 'when-worth');
  }

  /** Deletes checkpoints; their layers are known as suspects before, for a crash, and after, when nobody needs them. */
  async #lettingGo(ids: readonly string[], deletion: () => Promise<void>): Promise<void> {
    const layers: string[] = [];
    for (const id of ids) {
      const own = await this.#host.layers.ofCheckpoint(id).catch(() => []);
      for (const { path: layer } of own) layers.push(...(await this.#host.layers.chain(layer)));
    }
    await this.#host.layers.suspect(layers);
    await deletion();
    // A collection that ran meanwhile has found them needed, and may have forgotten them.
    await this.#host.layers.suspect(layers);
  }

  /** Resolves when the jobs that free what deleted checkpoints leave have ended; undefined when there are none. */
  get cleaning(): Promise<unknown> | undefined {
    return this.#cleaning.size === 0 ? undefined : Promise.allSettled(this.#cleaning);
  }

  /** Frees what deleted checkpoints leave, in a job. */
  cleanUp(subject: string, merge: 'now' | 'when-worth' = 'now'): void {
    const { jobs, layers } = this.#host;
    const { result } = jobs.start({ kind: 'merge', subject }, async ({ signal, progress, outcome }) => {
      const tree = await this.#host.tree();
      const freed = await tree.collapse({
        merge,
        cancellation: signal,
        onProgress: ({ done, total }) => progress(done, total),
      });
      const deleted = await layers.collect();
      void this.#host.diskJobs.tidy();
      outcome(`${Math.max(0, freed)} bytes of checkpoints and ${deleted.length} layers of disks freed`);
    });
    this.#cleaning.add(result);
    const ended = () => this.#cleaning.delete(result);
    result.then(ended, ended);
    result.then(
      () => {
        this.#host.announce({ event: 'tree' });
        this.#host.announce({ event: 'disks' });
      },
      // The job says so.
      () => undefined,
    );
  }
}

function subtreeOf(tree: CheckpointTree, id: string): string[] {
  const ids = [tree.node(id).id];
  for (let at = 0; at < ids.length; at += 1) {
    for (const node of tree.nodes) if (node.parent === ids[at]) ids.push(node.id);
  }
  return ids;
}
