import { describe, expect, test } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { aboutTable, requestsTable, workingSetTable } from '../../engine/checkpoint/about.ts';
import type { BlockCodecs } from '../../engine/checkpoint/codecs.ts';
import type { CheckpointHeader } from '../../engine/checkpoint/header.ts';
import { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { CheckpointWriter } from '../../engine/checkpoint/writer.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { Random } from '../contract/random.ts';
import { about, deflate, identity, MACHINE, memory, PAGE, pageOf, plain, stampsOf, zstd } from './content.ts';

const nobody = async (): Promise<never> => {
  throw new AfterimageError('missing', 'There is none');
};

/** The file as it would be opened once more. */
const again = (file: MemoryFile) => new MemoryFile(file.name, file.content());

function headerOf(pages: number, random = new Random(1)): CheckpointHeader {
  return { id: identity(random), machine: MACHINE, spaces: [memory(pages)] };
}

async function written(stamps: readonly number[], codecs: BlockCodecs, order?: readonly number[]) {
  const file = new MemoryFile('a.checkpoint');
  const writer = CheckpointWriter.begin(file, headerOf(stamps.length), codecs);
  const pages = order ?? stamps.map((_, page) => page);
  for (let at = 0; at < pages.length; at += 7) {
    const some = pages.slice(at, at + 7);
    await writer.writePages(
      0,
      some,
      some.map(page => pageOf(page, stamps[page]!)),
    );
  }
  return { file, result: await writer.finish({ about: about('first') }) };
}

const STAMPS = Array.from({ length: 100 }, (_, page) => (page % 5 === 0 ? 0 : page + 1));

describe('a checkpoint file', () => {
  test.each([
    ['nothing', plain],
    ['zstd', zstd],
    ['deflate', deflate],
  ])('gives back every page, compressed with %s, whatever the order of writing', async (_, codecs) => {
    const random = new Random(3);
    const order = STAMPS.map((_, page) => page).sort(() => random.below(3) - 1);
    for (const pages of [undefined, order]) {
      const { file, result } = await written(STAMPS, codecs, pages);
      expect(result).toMatchObject({ bytes: file.content().length, pages: 80, zeroPages: 20 });
      const reader = await CheckpointReader.open(new MemoryFile('b', file.content()), nobody, plain);
      expect(await stampsOf(reader)).toEqual(STAMPS);
      const one = new Uint8Array(PAGE);
      await reader.readPage(0, 42, one);
      expect(Buffer.from(one).equals(pageOf(42, STAMPS[42]!))).toBe(true);
      expect(reader.isZero(0, 40)).toBe(true);
      expect(await reader.table(aboutTable)).toEqual(about('first'));
      await reader.close();
    }
  });

  test('costs next to nothing for zero pages and compresses the rest', async () => {
    const empty = await written(Array<number>(4096).fill(0), zstd);
    expect(empty.result.bytes).toBeLessThan(5000);
    const even = await written(Array<number>(320).fill(1), zstd);
    expect(even.result.bytes).toBeLessThan(20_000);
  });

  test('keeps the tables of the end', async () => {
    const file = new MemoryFile('a');
    const writer = CheckpointWriter.begin(file, headerOf(1), plain);
    writer.writeZeroes(0, 0, 1);
    const requests = { requests: [{ device: 'disk0', tag: 7, status: 1 }] };
    const workingSet = { runs: [{ first: 0, count: 1 }] };
    await writer.finish({ about: about('x'), state: Uint8Array.of(1, 2, 3), requests, workingSet });
    const reader = await CheckpointReader.open(file, nobody, plain);
    expect(await reader.table(requestsTable)).toEqual(requests);
    expect(await reader.table(workingSetTable)).toEqual(workingSet);
    expect(await reader.section('state')).toEqual(Uint8Array.of(1, 2, 3));
    expect(await reader.section('screen')).toBeUndefined();
  });

  test('skips an optional section that nobody knows and refuses another by name', async () => {
    for (const optional of [true, false]) {
      const file = new MemoryFile('a');
      const writer = CheckpointWriter.begin(file, headerOf(1), plain);
      writer.writeZeroes(0, 0, 1);
      writer.writeSection('later', Uint8Array.of(1), { optional });
      await writer.finish();
      const opening = CheckpointReader.open(file, nobody, plain);
      if (optional) await opening;
      else await expect(opening).rejects.toMatchObject({ kind: 'unsupported', context: { section: 'later' } });
    }
  });

  test('names a feature that is not known', async () => {
    const { file } = await written(STAMPS, plain);
    const bytes = file.content();
    bytes[16 + 5] = 1 << 2;
    const { checksum } = await import('../../engine/checkpoint/checksum.ts');
    new DataView(bytes.buffer).setUint32(4092, checksum(bytes.subarray(0, 4092)), true);
    await expect(CheckpointReader.open(new MemoryFile('b', bytes), nobody, plain)).rejects.toMatchObject({
      kind: 'unsupported',
      context: { file: 'b', feature: 'bit 42' },
    });
  });

  test('says so when the host cannot decompress', async () => {
    const { file } = await written(STAMPS, zstd);
    const reader = await CheckpointReader.open(file, nobody, {});
    await expect(reader.readPage(0, 1, new Uint8Array(PAGE))).rejects.toMatchObject({ kind: 'unsupported' });
  });

  test('reports damage where it is, and only the pages in it', async () => {
    const { file } = await written(STAMPS, plain);
    const bytes = file.content();
    // In the middle of the second block.
    bytes[4096 + 16 * PAGE + 5]! ^= 1;
    const reader = await CheckpointReader.open(new MemoryFile('hurt', bytes), nobody, plain);
    const into = new Uint8Array(PAGE).fill(0x77);
    await reader.readPage(0, 1, into);
    const failures: { page: number; error: unknown }[] = [];
    for (let page = 0; page < STAMPS.length; page += 1) {
      await reader.readPage(0, page, into).catch(error => failures.push({ page, error }));
    }
    expect(failures).toHaveLength(16);
    expect(failures[0]!.error).toMatchObject({
      kind: 'corrupt',
      context: { file: 'hurt', section: 'blocks', offset: 4096 + 16 * PAGE },
    });
  });
});

describe('the writer', () => {
  test('refuses a page twice and, without a parent, a page too few', async () => {
    const twice = CheckpointWriter.begin(new MemoryFile('a'), headerOf(2), plain);
    await twice.writePages(0, [0, 1, 0], [pageOf(0, 1), pageOf(1, 1), pageOf(0, 2)]);
    await expect(twice.finish()).rejects.toMatchObject({ kind: 'internal', context: { page: 0 } });
    const few = CheckpointWriter.begin(new MemoryFile('a'), headerOf(2), plain);
    await few.writePages(0, [0], [pageOf(0, 1)]);
    await expect(few.finish()).rejects.toMatchObject({ kind: 'internal', context: { page: 1 } });
    const outside = CheckpointWriter.begin(new MemoryFile('a'), headerOf(2), plain);
    await expect(outside.writePages(0, [2], [pageOf(2, 1)])).rejects.toMatchObject({ kind: 'internal' });
  });

  test('needs the frames only until writePages returns', async () => {
    const file = new MemoryFile('a');
    const writer = CheckpointWriter.begin(file, headerOf(40), zstd);
    const shared = new Uint8Array(new SharedArrayBuffer(PAGE));
    for (let page = 0; page < 40; page += 1) {
      shared.set(pageOf(page, page + 1));
      await writer.writePages(0, [page], [shared]);
    }
    await writer.finish();
    const reader = await CheckpointReader.open(file, nobody, plain);
    expect(await stampsOf(reader)).toEqual(Array.from({ length: 40 }, (_, page) => page + 1));
  });

  test('waits while the host is slow, with bounded memory', async () => {
    const inner = new MemoryFile('slow');
    let release: (() => void) | undefined;
    let pending = 0;
    const slow: HostFile = Object.assign(Object.create(inner) as HostFile, {
      write: async (at: number, from: readonly Uint8Array[]) => {
        pending += 1;
        await new Promise<void>(resolve => {
          release = resolve;
        });
        await inner.write(at, from);
        pending -= 1;
      },
      flush: () => inner.flush(),
    });
    const pages = 4096;
    const writer = CheckpointWriter.begin(slow, headerOf(pages), plain);
    let accepted = 0;
    const saving = (async () => {
      for (; accepted < pages; accepted += 1) await writer.writePages(0, [accepted], [pageOf(accepted, 3)]);
      return await writer.finish();
    })();
    const turns = () => new Promise(resolve => setImmediate(resolve));
    let most = 0;
    let done = false;
    void saving.finally(() => {
      done = true;
    });
    let released = 0;
    while (!done) {
      await turns();
      expect(pending).toBeLessThanOrEqual(1);
      most = Math.max(most, accepted * PAGE - released);
      if (pending === 1) {
        released = (await inner.size()) + 2 ** 20;
        release?.();
      }
    }
    // 4 MiB on their way, one write, one block being filled.
    expect(most).toBeLessThan(7 * 2 ** 20);
    expect((await saving).pages).toBe(pages);
  });

  test('compresses only while the file is behind, when asked to', async () => {
    for (const slow of [false, true]) {
      const inner = new MemoryFile('a');
      const file: HostFile = Object.assign(Object.create(inner) as HostFile, {
        write: async (at: number, from: readonly Uint8Array[]) => {
          // A slow file keeps each write until everything that can happen before its end has happened.
          for (let turn = 0; slow && turn < 50; turn += 1) await new Promise(resolve => setImmediate(resolve));
          await inner.write(at, from);
        },
        flush: () => inner.flush(),
        name: 'a',
      });
      const compress = { ...zstd.compress!, when: 'backlogged' as const };
      const writer = CheckpointWriter.begin(file, headerOf(2048), { ...plain, compress });
      for (let page = 0; page < 2048; page += 1) {
        await writer.writePages(0, [page], [pageOf(page, 1)]);
        if (!slow && page % 16 === 15) await new Promise(resolve => setImmediate(resolve));
      }
      const { bytes } = await writer.finish();
      if (slow) expect(bytes).toBeLessThan(6 * 2 ** 20);
      else expect(bytes).toBeGreaterThan(8 * 2 ** 20);
      const reader = await CheckpointReader.open(again(inner), nobody, plain);
      expect(new Set(await stampsOf(reader))).toEqual(new Set([1]));
    }
  });

  test('fails for good with the first failure of the file or of the compression', async () => {
    const noSpace = new AfterimageError('no-space', 'Full');
    const full: HostFile = Object.assign(new MemoryFile('full'), {
      write: async () => {
        throw noSpace;
      },
    });
    const writer = CheckpointWriter.begin(full, headerOf(2000), plain);
    const all = (async () => {
      for (let page = 0; page < 2000; page += 1) await writer.writePages(0, [page], [pageOf(page, 3)]);
      await writer.finish();
    })();
    await expect(all).rejects.toBe(noSpace);
    await expect(writer.finish()).rejects.toBe(noSpace);
    await writer.abort();
    const broken: BlockCodecs = {
      compress: {
        codec: 'zstd',
        run: async () => {
          throw new AfterimageError('internal', 'Broken');
        },
      },
    };
    const other = CheckpointWriter.begin(new MemoryFile('x'), headerOf(1), broken);
    await other.writePages(0, [0], [pageOf(0, 1)]);
    await expect(other.finish()).rejects.toMatchObject({ message: 'Broken' });
  });

  test('leaves no valid file when it is aborted', async () => {
    const file = new MemoryFile('a');
    const writer = CheckpointWriter.begin(file, headerOf(40), plain);
    await writer.writePages(0, [0], [pageOf(0, 1)]);
    await writer.abort();
    await expect(writer.writePages(0, [1], [pageOf(1, 1)])).rejects.toMatchObject({ kind: 'state' });
    await expect(CheckpointReader.open(file, nobody, plain)).rejects.toMatchObject({ kind: 'corrupt' });
  });
});

describe('a chain', () => {
  const random = new Random(9);
  const root: CheckpointHeader = headerOf(50, random);

  async function child(parent: { id: string; seal: string }, pages: number[], stamp: number, change = {}) {
    const file = new MemoryFile(`child ${stamp}`);
    const header = { ...root, id: identity(random), parent, ...change };
    const writer = CheckpointWriter.begin(file, header, zstd);
    await writer.writePages(
      0,
      pages,
      pages.map(page => pageOf(page, stamp)),
    );
    return { file, written: await writer.finish() };
  }

  async function rootFile() {
    const file = new MemoryFile('root');
    const writer = CheckpointWriter.begin(file, root, zstd);
    for (let page = 0; page < 50; page += 1) await writer.writePages(0, [page], [pageOf(page, page === 9 ? 0 : 1)]);
    return { file, written: await writer.finish() };
  }

  test('takes each page from the nearest file that has it', async () => {
    const base = await rootFile();
    const first = await child(base.written, [3, 4, 5, 30], 2);
    const second = await child(first.written, [4, 49], 3);
    const third = await child(second.written, [5], 0);
    const files = new Map([base, first, second].map(one => [one.written.id, one.file]));
    const reader = await CheckpointReader.open(third.file, async id => files.get(id)!, plain);
    const expected = Array.from({ length: 50 }, () => 1);
    expected[9] = 0;
    for (const page of [3, 30]) expected[page] = 2;
    for (const page of [4, 49]) expected[page] = 3;
    expected[5] = 0;
    expect(await stampsOf(reader)).toEqual(expected);
    const runs = reader.runs(0);
    expect(runs.reduce((sum, run) => sum + run.count, 0)).toBe(50);
    expect(reader.isZero(0, 5)).toBe(true);
    expect(third.written).toMatchObject({ pages: 0, zeroPages: 1 });
  });

  test('refuses a parent that is missing, another, changed, of another machine or size, or a circle', async () => {
    const base = await rootFile();
    const one = await child(base.written, [1], 2);
    const open = (find: () => Promise<HostFile>) => CheckpointReader.open(again(one.file), find, plain);
    await expect(open(nobody)).rejects.toMatchObject({
      kind: 'missing',
      context: { file: 'child 2', parent: base.written.id },
    });
    const other = await child(base.written, [1], 4);
    await expect(open(async () => again(other.file))).rejects.toMatchObject({ kind: 'corrupt' });
    const resealed = await child({ ...base.written, seal: '00'.repeat(8) }, [1], 5);
    await expect(CheckpointReader.open(resealed.file, async () => again(base.file), plain)).rejects.toThrow(
      /another seal/,
    );
    const foreign = await child(base.written, [1], 6, { machine: 'bb'.repeat(16) });
    await expect(CheckpointReader.open(foreign.file, async () => again(base.file), plain)).rejects.toThrow(
      /another machine/,
    );
    const larger = await child(base.written, [1], 7, { spaces: [memory(51)] });
    await expect(CheckpointReader.open(larger.file, async () => again(base.file), plain)).rejects.toThrow(
      /other spaces/,
    );
    const circle = await child({ id: root.id, seal: base.written.seal }, [1], 8, { id: root.id });
    await expect(CheckpointReader.open(circle.file, async () => again(circle.file), plain)).rejects.toThrow(/circle/);
  });
});
