// Checkpoints one after the other, as a schedule takes them: what must not grow does not grow.
import { Random } from '../contract/random.ts';
import { about, memory, PAGE, pageOf } from './content.ts';
import { readStamps, TreeModel } from './tree-model.ts';
import { World } from './world.ts';

const PAGES = 64;
const KEPT = 8;

export interface ManyReport {
  readonly taken: number;
  /** Most files in the folder, and most bytes in them, after the first hundredth and at the end. */
  readonly files: { early: number; late: number };
  readonly bytes: { early: number; late: number };
  readonly openFiles: number;
  readonly longestChain: number;
}

/** Takes `count` increments in a row with retention, and checks the newest and the oldest on the way. */
export async function takeMany(count: number): Promise<ManyReport> {
  const world = new World();
  world.record = false;
  const model = await new TreeModel(world, new Random(3)).open();
  const stamps = Array<number>(PAGES).fill(0);
  const files = { early: 0, late: 0 };
  const bytes = { early: 0, late: 0 };
  let longestChain = 0;
  let last: string | undefined;
  for (let index = 1; index <= count; index += 1) {
    const base = last === undefined ? {} : { base: last };
    const draft = await model.tree.take({ store: 'file', spaces: [memory(PAGES)], ...base });
    for (let page = 0; page < PAGES; page += 1) {
      if (last !== undefined && (page + index) % 16 !== 0) continue;
      stamps[page] = index;
      await draft.writer.writePages(0, [page], [pageOf(page, index)]);
    }
    await draft.complete({ about: about(`${index}`, { origin: 'automatic', takenAt: 1_790_000_000_000 + index }) });
    last = draft.id;
    await model.tree.retain({ latest: KEPT });
    world.collect();
    const period = index <= Math.max(2 * KEPT, count / 4) ? 'early' : 'late';
    files[period] = Math.max(files[period], world.names.size);
    bytes[period] = Math.max(bytes[period], world.totalBytes);
    if (index % 50 !== 0 && index !== count) continue;
    const found = await readStamps(model.tree, last);
    if (found.some((stamp, page) => stamp !== stamps[page])) throw new Error(`Checkpoint ${index} is wrong`);
    const oldest = model.tree.nodes[0]!;
    const reader = await model.tree.open(last);
    longestChain = Math.max(longestChain, reader.files.length);
    await reader.close();
    await readStamps(model.tree, oldest.id);
  }
  await model.tree.collapse();
  const report = await model.tree.verify();
  if (!report.sound) throw new Error(JSON.stringify(report));
  if (model.tree.nodes.length !== Math.min(count, KEPT)) throw new Error('Retention kept another number');
  return { taken: count, files, bytes, openFiles: world.open, longestChain };
}

// As a program: node test/checkpoint/many.ts [COUNT]
if (process.argv[1] === import.meta.filename) {
  const count = Number(process.argv[2] ?? 10_000);
  await takeMany(200);
  const before = process.memoryUsage();
  const began = performance.now();
  const report = await takeMany(count);
  const seconds = (performance.now() - began) / 1000;
  globalThis.gc?.();
  const after = process.memoryUsage();
  const grown = (after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers) / 2 ** 20;
  console.log(JSON.stringify({ ...report, seconds, heapGrownMiB: grown, page: PAGE }));
}
