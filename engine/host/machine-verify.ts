// Proves that every checkpoint restores and every file in a machine's folder is needed, or says what is wrong.
import { readdir } from 'node:fs/promises';
import type { TreeProblem, TreeVerification } from '../api/checkpoints.ts';
import { AfterimageError } from '../base/errors.ts';
import type { VerifyOptions } from '../checkpoint/tree-verify.ts';
import { closeChain, openChain } from '../disk/chain/open.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { CHECKPOINTS, DISKS } from './machine-folder.ts';
import type { MachineHost } from './machine-host.ts';
import { disksOf } from './machine-position.ts';
import { OwnedFolder } from './owned-folder.ts';

export async function verifyMachine(host: MachineHost, options: VerifyOptions): Promise<TreeVerification> {
  const tree = await host.tree();
  await host.swept();
  const problems: TreeProblem[] = [];
  const report = await tree.verify(options);
  for (const { id, problems: found } of report.nodes) {
    for (const { message, context } of found) problems.push({ id, message: explained(message, context) });
  }
  for (const { store, id, bytes } of report.orphans) {
    problems.push({ message: `The checkpoint ${id} in ${store} (${bytes} bytes) is in no list` });
  }
  for (const id of report.unneeded)
    problems.push({ message: `The file of the deleted checkpoint ${id} is still there` });
  const layers = new LayerCheck(host);
  let pages = 0;
  for (const { id } of tree.nodes) {
    try {
      const reader = await tree.open(id);
      try {
        pages += reader.runs(0).reduce((sum, { count }) => sum + count, 0);
        for (const { layer, format } of (await disksOf(reader)).disks) {
          const problem = layer === undefined ? undefined : await layers.problemOf(layer, format);
          if (problem !== undefined) problems.push({ id, message: problem });
        }
      } finally {
        await reader.close();
      }
    } catch {
      // The tree's own check has said so.
    }
  }
  for (const [disk, { format, mode }] of host.folder.record.disks.entries()) {
    const layer = host.folder.activeLayer(disk);
    const problem = await layers.problemOf(layer, mode === 'temporary' && host.power.on ? 'qcow2' : format);
    if (problem !== undefined) problems.push({ message: problem });
  }
  problems.push(...(await strayFiles(host)));
  return { checkpoints: report.nodes.filter(({ hidden }) => !hidden).length, pages, problems };
}

/** Opens each layer once, with all below it. */
class LayerCheck {
  readonly #folder: OwnedFolder;
  readonly #known = new Map<string, string | undefined>();

  constructor(host: MachineHost) {
    this.#folder = new OwnedFolder(host.folder.path);
  }

  async problemOf(layer: string, format: 'raw' | 'qcow2'): Promise<string | undefined> {
    if (!this.#known.has(layer)) this.#known.set(layer, await this.#look(layer, format));
    return this.#known.get(layer);
  }

  async #look(layer: string, format: 'raw' | 'qcow2'): Promise<string | undefined> {
    try {
      await closeChain(
        await openChain(this.#folder, { path: layer, format }, { access: 'read', codecs: clusterCodecs }),
      );
      return undefined;
    } catch (thrown) {
      const { message, context } = AfterimageError.from(thrown);
      return `The disk layer ${layer} cannot be used: ${explained(message, context)}`;
    }
  }
}

/** Files that nothing needs. */
async function strayFiles(host: MachineHost): Promise<TreeProblem[]> {
  // What a restore has left goes a little after it is answered.
  await host.layers.collected();
  const model = await host.layers.model();
  const layers = new Map(model.map(layer => [layer.path, layer]));
  const problems: TreeProblem[] = [];
  for (const name of await filesIn(host.folder.inside(DISKS))) {
    const layer = layers.get(`${DISKS}/${name}`);
    // A job that runs has files of its own for a while.
    if (host.jobs.views.some(({ state, disk }) => state === 'running' && disk !== undefined)) break;
    if (layer === undefined) problems.push({ message: `The file ${DISKS}/${name} is no layer of a disk` });
    else if (layer.neededBy.length === 0)
      problems.push({ message: `The disk layer ${layer.path} is needed by nobody` });
  }
  for (const name of await filesIn(host.folder.inside(CHECKPOINTS))) {
    if (name === 'tree.json' || /^[0-9a-f]{32}\.checkpoint$/.test(name)) continue;
    if (name.endsWith('.partial') && host.power.on) continue;
    problems.push({ message: `The file ${CHECKPOINTS}/${name} is no checkpoint` });
  }
  return problems;
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

function explained(message: string, context: Readonly<Record<string, unknown>>): string {
  const { file, section, offset } = context;
  const facts = Object.entries({ file, section, offset }).filter(([, value]) => value !== undefined);
  return facts.length === 0 ? message : `${message} (${facts.map(([name, value]) => `${name} ${value}`).join(', ')})`;
}
