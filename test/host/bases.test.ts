// Which checkpoint the next one builds on (@req C17).
import { expect, test } from 'vitest';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { Bases } from '../../engine/host/bases.ts';
import { about, MACHINE, memory, PAGE, pageOf, plain } from '../checkpoint/content.ts';
import { World } from '../checkpoint/world.ts';

test('chains stay short enough to be opened, whatever is deleted of them', async () => {
  const world = new World();
  world.record = false;
  let last = 0;
  const tree = await CheckpointTree.open({
    folder: world.folder,
    stores: new Map([['file', new FileStore(world.folder)]]),
    machine: MACHINE,
    codecs: plain,
    random: count => Uint8Array.from({ length: count }, (_, index) => (index === 0 ? ++last : last)),
  });
  const bases = new Bases();
  const lengths: number[] = [];
  for (let round = 1; round <= 150; round += 1) {
    const base = bases.toBuildOn(true);
    const draft = await tree.take({ store: 'file', ...(base && { base: base.id }), spaces: [memory(2)] });
    const pages = base === undefined ? [0, 1] : [1];
    await draft.writer.writePages(
      0,
      pages,
      pages.map(page => pageOf(page, round)),
    );
    await draft.complete({ about: about(`round ${round}`) });
    bases.add(tree, { id: draft.id, epoch: round, durable: true });
    const reader = await tree.open(draft.id);
    lengths.push(reader.files.length);
    const bytes = new Uint8Array(PAGE);
    await reader.readPage(0, 1, bytes);
    expect(bytes).toEqual(pageOf(1, round));
    await reader.close();
    // The machine's marks count from it: its file stays.
    await tree.delete(draft.id);
  }
  expect(Math.max(...lengths)).toBe(64);
  // A full one frees all that came before.
  expect(Math.min(...lengths.slice(100))).toBeLessThan(64);
  bases.clear();
  await tree.collapse();
  expect(world.names.size).toBe(1);
});
