// Checkpoint files and media from strangers: typed errors, or pages that are right by the file's own words; no read
// beyond the file, no memory beyond its size and its blocks.
import { expect, test } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { aboutTable, disksTable, requestsTable, screenTable, workingSetTable } from '../../engine/checkpoint/about.ts';
import { importCheckpoint } from '../../engine/checkpoint/import.ts';
import { PageSources } from '../../engine/checkpoint/page-sources.ts';
import { RawMedium } from '../../engine/checkpoint/raw-medium.ts';
import { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { CheckpointWriter } from '../../engine/checkpoint/writer.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { Random } from '../contract/random.ts';
import { about, deflate, identity, MACHINE, memory, PAGE, pageOf, plain, zstd } from './content.ts';
import { damage } from './damage.ts';
import { formatMedium, TreeModel } from './tree-model.ts';
import { World } from './world.ts';

const CASES = Number(process.env.AFTERIMAGE_CHECKPOINT_FUZZ_CASES ?? 4000);
const FIRST_SEED = Number(process.env.AFTERIMAGE_CHECKPOINT_FUZZ_SEED ?? 1);
/** Damage may change a size, which a restore compares with the machine's first. */
const MOST_RESTORED = 64 * 2 ** 20;
const EXPECTED_KINDS = ['corrupt', 'unsupported', 'too-large', 'missing'];

interface Sample {
  readonly file: Uint8Array;
  readonly parent: Uint8Array | undefined;
}

async function samples(): Promise<Sample[]> {
  const random = new Random(77);
  const result: Sample[] = [];
  for (const codecs of [plain, zstd, deflate]) {
    const pages = 40;
    const spaces = [memory(pages), { kind: 'disk' as const, name: 'disk0', bytes: 5 * PAGE + 512 }];
    const make = async (header: Parameters<typeof CheckpointWriter.begin>[1], every: number) => {
      const file = new MemoryFile('sample');
      const writer = CheckpointWriter.begin(file, header, codecs);
      for (let page = 0; page < pages; page += every) {
        await writer.writePages(0, [page], [pageOf(page, page % 4 === 0 ? 0 : page)]);
      }
      for (let page = 0; header.spaces.length > 1 && page < 6; page += 1) {
        await writer.writePages(1, [page], [pageOf(page, page)]);
      }
      const disk = { device: 'disk0', layer: undefined, format: 'raw' as const, size: 5 * PAGE + 512 };
      const disks = { disks: [{ ...disk, ownCopy: true, temporary: false, space: 1 }] };
      const written = await writer.finish({
        about: about('sample'),
        state: Uint8Array.of(1, 2, 3),
        ...(header.spaces.length > 1 ? { disks } : {}),
        requests: { requests: [{ device: 'disk0', tag: 1, status: 0 }] },
        workingSet: { runs: [{ first: 3, count: 4 }] },
        screen: { columns: 80, rows: 25, lines: ['login:'], palette: undefined },
      });
      return { content: file.content(), written };
    };
    const full = await make({ id: identity(random), machine: MACHINE, spaces }, 1);
    const root = await make({ id: identity(random), machine: MACHINE, spaces: [memory(pages)] }, 1);
    const header = { id: identity(random), machine: MACHINE, spaces: [memory(pages)], parent: root.written };
    const child = await make(header, 3);
    result.push({ file: full.content, parent: undefined }, { file: child.content, parent: root.content });
  }
  return result;
}

/** A file that notes the most that was asked of it at once. */
class Watched extends MemoryFile implements HostFile {
  mostRead = 0;

  override async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    for (const buffer of into) this.mostRead = Math.max(this.mostRead, buffer.length);
    await super.read(at, into);
  }
}

/** Brings every block as a lazy restore does. */
async function restoreAll(reader: CheckpointReader, space: number): Promise<void> {
  const sources = new PageSources(reader, space);
  let stored = 0;
  for (const { count } of sources.stored()) stored += count;
  let met = 0;
  for (const block of sources.blocksInOrder()) {
    const pages = [...sources.pagesIn(block)];
    met += pages.length;
    if (met > stored) throw new Error('A page is in two blocks');
    const content = await sources.load(block);
    for (const page of pages) if (sources.within(content, page).length !== PAGE) throw new Error('A page is cut off');
  }
}

async function useAll(file: HostFile, parent: HostFile | undefined): Promise<'refused' | 'damaged' | 'whole'> {
  let outcome: 'refused' | 'damaged' | 'whole' = 'refused';
  const typed = (thrown: unknown) => {
    if (!(thrown instanceof AfterimageError) || !EXPECTED_KINDS.includes(thrown.kind)) throw thrown;
    if (outcome === 'whole') outcome = 'damaged';
  };
  const find = async () => {
    if (parent === undefined) throw new AfterimageError('missing', 'There is no parent');
    return parent;
  };
  let reader: CheckpointReader;
  try {
    reader = await CheckpointReader.open(file, find, plain);
  } catch (thrown) {
    typed(thrown);
    return outcome;
  }
  outcome = 'whole';
  for (const table of [aboutTable, disksTable, requestsTable, workingSetTable, screenTable]) {
    await reader.table<unknown>(table).catch(typed);
  }
  for (const [space, { bytes }] of reader.spaces.entries()) {
    try {
      reader.runs(space);
      // What a lazy restore makes of it, which has refused files of another size of memory than the machine's.
      if (bytes <= MOST_RESTORED) await restoreAll(reader, space).catch(typed);
    } catch (thrown) {
      typed(thrown);
    }
    const count = Math.min(100, Math.ceil(bytes / PAGE));
    for (let page = 0; page < count; page += 1) {
      const into = new Uint8Array(PAGE);
      await reader.readPage(space, page, into).catch(typed);
    }
  }
  await reader.close();
  return outcome;
}

test(`${CASES} damaged files are refused, or read without surprise`, async () => {
  const all = await samples();
  const outcomes = { refused: 0, damaged: 0, whole: 0 };
  let imported = 0;
  let slowest = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed += 1) {
    const random = new Random(seed);
    const sample = all[seed % all.length]!;
    const hurtParent = sample.parent !== undefined && random.below(3) === 0;
    const content = hurtParent ? sample.file : damage(sample.file, random);
    const base = sample.parent && (hurtParent ? damage(sample.parent, random) : sample.parent);
    const file = new Watched('stranger', content, true);
    const began = performance.now();
    try {
      outcomes[await useAll(file, base && new MemoryFile('parent', base, true))] += 1;
      expect(file.mostRead).toBeLessThanOrEqual(content.length + 4096);
      if (seed % 8 === 0) imported += await tryImport(content, random);
    } catch (cause) {
      throw new Error(`Seed ${seed}`, { cause });
    }
    slowest = Math.max(slowest, performance.now() - began);
  }
  // All three happen, so the damage is neither too coarse nor without effect.
  expect(outcomes.refused).toBeGreaterThan(CASES / 10);
  expect(outcomes.damaged).toBeGreaterThan(CASES / 100);
  expect(outcomes.whole).toBeGreaterThan(CASES / 100);
  expect(imported).toBeGreaterThan(0);
  // Milliseconds for 150 KB; generous, since the machine may be busy.
  expect(slowest).toBeLessThan(5000);
});

async function tryImport(content: Uint8Array, random: Random): Promise<number> {
  const world = new World();
  world.record = false;
  const model = await new TreeModel(world, random).open();
  const sink = {
    write: async () => {},
    finish: async () => ({ layer: 'disks/x', format: 'raw' as const }),
    abort: async () => {},
  };
  const limits = { mostMemoryBytes: 2 ** 20, mostDiskBytes: 2 ** 20 };
  const parts = { tree: model.tree, store: 'file', codecs: plain, createDisk: async () => sink, ...limits };
  try {
    const { id } = await importCheckpoint(new MemoryFile('stranger', content, true), parts);
    // What was let in is whole.
    const report = await model.tree.verify();
    if (!report.sound || model.tree.current !== id) throw new Error(JSON.stringify(report));
    return 1;
  } catch (thrown) {
    if (!(thrown instanceof AfterimageError) || !EXPECTED_KINDS.includes(thrown.kind)) throw thrown;
    expect([...world.names.keys()]).toEqual([]);
    return 0;
  } finally {
    expect(world.open).toBe(0);
  }
}

test('damaged media are refused or used without surprise', async () => {
  const world = new World();
  world.record = false;
  await formatMedium(world, { bytes: 2 ** 19, unit: 4096, slotBytes: 4096 });
  const medium = await RawMedium.open(world.writable('medium'));
  for (const id of ['aa', 'bb', 'cc']) {
    const draft = await medium.begin(id.repeat(16));
    await draft.file.write(0, [new Uint8Array(20_000).fill(7)]);
    await draft.complete();
  }
  await medium.remove('bb'.repeat(16));
  const good = world.content('medium');
  const { checksum } = await import('../../engine/checkpoint/checksum.ts');
  let refused = 0;
  let used = 0;
  for (let seed = 1; seed <= CASES / 4; seed += 1) {
    const random = new Random(seed);
    const bytes = good.slice();
    const view = new DataView(bytes.buffer);
    for (let count = 1 + random.below(3); count > 0; count -= 1) {
      const start = random.pick([8, 16, 24, 28, 4096, 8192]);
      view.setUint32(
        start + 4 * random.below(start < 4096 ? 1 : 40),
        random.pick([0, 1, 5, 127, 2 ** 31, 2 ** 32 - 1, random.word()]),
        true,
      );
    }
    if (random.below(4) > 0) {
      view.setUint32(4092, checksum(bytes.subarray(0, 4092)), true);
      for (const slot of [4096, 8192]) {
        const length = Math.min(view.getUint32(slot + 16, true), 4096 - 24);
        const sum = checksum(bytes.subarray(slot + 24, slot + 24 + length), checksum(bytes.subarray(slot, slot + 20)));
        view.setUint32(slot + 20, sum, true);
      }
    }
    try {
      const opened = await RawMedium.open(new MemoryFile('medium', bytes));
      for (const { id, bytes: size } of await opened.list()) {
        const file = await opened.open(id);
        expect(size).toBeLessThanOrEqual(bytes.length);
        await file.read(0, [new Uint8Array(size)]);
        await file.close();
      }
      const draft = await opened.begin('dd'.repeat(16));
      await draft.file.write(0, [new Uint8Array(5000)]).catch(thrown => {
        if (!(thrown instanceof AfterimageError) || thrown.kind !== 'no-space') throw thrown;
      });
      await draft.abort();
      used += 1;
    } catch (thrown) {
      if (!(thrown instanceof AfterimageError) || thrown.kind !== 'corrupt')
        throw new Error(`Seed ${seed}`, { cause: thrown });
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(10);
  expect(used).toBeGreaterThan(10);
});
