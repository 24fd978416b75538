// What a machine loses when parts of its checkpoints are lost: those parts.
import { readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import type { AfterimageError } from '../../engine/base/errors.ts';
import type { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { createMachineFolder, MachineFolder } from '../../engine/host/machine-folder.ts';
import { newIdentity } from '../../engine/host/machine-record.ts';
import { MachineStores } from '../../engine/host/machine-stores.ts';
import { about } from '../checkpoint/content.ts';
import { temporaryFolder } from './temporary-folder.ts';

const PAGE = 4096;

interface Opened {
  readonly stores: MachineStores;
  readonly tree: CheckpointTree;
  readonly warnings: AfterimageError[];
  close(): Promise<void>;
}

async function machine(): Promise<{ place: string; open(): Promise<Opened> }> {
  const place = path.join(temporaryFolder(), 'machine');
  const boot = { kind: 'guest' } as const;
  const record = { id: newIdentity(), createdAt: 1, name: 'm', memory: 2 ** 23, boot, automatic: USUAL_AUTOMATIC };
  await createMachineFolder(place, async () => ({ ...record, disks: [], process: {} }));
  const open = async () => {
    const folder = await MachineFolder.open(place);
    const stores = await MachineStores.open(folder);
    const warnings: AfterimageError[] = [];
    const tree = await stores.openTree(error => warnings.push(error));
    let closed = false;
    const close = async () => {
      if (!closed) await stores.close();
      if (!closed) await folder.close();
      closed = true;
    };
    onTestFinished(close);
    return { stores, tree, warnings, close };
  };
  return { place, open };
}

async function take({ tree }: Opened, name: string, store = 'file'): Promise<string> {
  const draft = await tree.take({ store, spaces: [{ kind: 'memory', name: 'ram', bytes: PAGE }] });
  await draft.writer.writePages(0, [0], [new Uint8Array(PAGE).fill(name.length)]);
  await draft.complete({ about: about(name) });
  return draft.id;
}

test('a raw medium that is gone takes only its own checkpoints with it, and comes back', async () => {
  const { open } = await machine();
  const medium = path.join(temporaryFolder(), 'medium.raw');
  writeFileSync(medium, '');
  truncateSync(medium, 32 * 2 ** 20);
  const first = await open();
  const kept = await take(first, 'kept');
  const store = await first.stores.use(`raw:${medium}`);
  const away = await take(first, 'away', store);
  const forgotten = await take(first, 'forgotten', store);
  await first.close();
  const aside = `${medium}.aside`;
  renameSync(medium, aside);

  const second = await open();
  expect(second.tree.nodes.map(({ name }) => name)).toEqual(['kept', 'away', 'forgotten']);
  expect(second.tree.node(away)).toMatchObject({ durable: true });
  await expect(second.tree.open(away)).rejects.toMatchObject({ kind: 'missing', context: { path: medium } });
  await (await second.tree.open(kept)).close();
  await second.tree.delete(forgotten);
  await second.tree.setCurrent(kept);
  const after = await take(second, 'after');
  expect(second.tree.nodes.map(({ id }) => id)).toEqual([kept, away, after]);
  renameSync(aside, medium);
  // In the same process: at its next use.
  await (await second.tree.open(away)).close();
});

test.each(['lost', 'damaged'])('a list of checkpoints that is %s is made anew from their files', async how => {
  const { place, open } = await machine();
  const first = await open();
  const ids = [await take(first, 'one'), await take(first, 'two')];
  await first.tree.rename(ids[0]!, 'called later');
  await first.close();
  const list = path.join(place, 'checkpoints', 'tree.json');
  if (how === 'lost') rmSync(list);
  else writeFileSync(list, '{"nodes":[{"id":"../../x"}]}');
  const second = await open();
  expect(second.warnings.map(({ kind }) => kind)).toEqual([how === 'lost' ? 'missing' : 'corrupt']);
  expect(second.tree.nodes.map(({ id }) => id).sort()).toEqual([...ids].sort());
  expect(new Set(second.tree.nodes.map(({ name }) => name))).toEqual(new Set(['one', 'two']));
  const damaged = readdirSync(path.join(place, 'checkpoints')).filter(name => name.startsWith('tree.json.damaged'));
  expect(damaged).toHaveLength(how === 'lost' ? 0 : 1);
  await second.close();
  expect((await open()).warnings).toEqual([]);
});
