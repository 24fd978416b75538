// @req C17: pages of a checkpoint and its parents arrive in machine memory, the wanted one first, and what cannot be read
// is an error with its place, never zeroes.
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { about, identity, MACHINE, memory, pageOf, zstd } from '../../test/checkpoint/content.ts';
import { Random } from '../../test/contract/random.ts';
import { coreModule } from '../../test/framework/bare-machine.ts';
import { buildRig } from '../../test/memory/rig.ts';
import type { AfterimageError } from '../base/errors.ts';
import { PageSources } from '../checkpoint/page-sources.ts';
import { CheckpointReader, type FindCheckpoint } from '../checkpoint/reader.ts';
import { CheckpointWriter } from '../checkpoint/writer.ts';
import { MemoryFile } from '../disk/memory-file.ts';
import { RESTORED_EPOCH } from '../memory/absent-pages.ts';
import type { MemoryTables } from '../memory/tables.ts';
import { Pager } from './pager.ts';

const PAGES = 512;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await coreModule();
});

/** A file whose reads can be held up, watched and broken. */
class TrickyFile extends MemoryFile {
  readonly reads: number[] = [];
  log: string[] | undefined;
  closed = false;
  broken: ((at: number) => boolean) | undefined;
  gate: Promise<void> | undefined;

  override async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    this.reads.push(at);
    this.log?.push(`${this.name} ${at}`);
    await this.gate;
    await super.read(at, into);
    if (this.broken?.(at) === true) into[0]![into[0]!.length >> 1]! ^= 1;
  }

  override async close(): Promise<void> {
    this.closed = true;
    await super.close();
  }
}

interface Checkpoint {
  readonly stamps: readonly number[];
  readonly files: readonly TrickyFile[];
  readonly reader: CheckpointReader;
}

/** A full checkpoint and an incremental one; stamps say what each page is, 0 zeroes. */
async function checkpoint(): Promise<Checkpoint> {
  const random = new Random(9);
  const stamps = Array.from({ length: PAGES }, () => (random.below(4) === 0 ? 0 : 1 + random.below(1000)));
  const base = await write(stamps, [...stamps.keys()], random);
  const changed = [...stamps.keys()].filter(() => random.below(5) === 0);
  for (const page of changed) stamps[page] = random.below(3) === 0 ? 0 : 2000 + random.below(1000);
  const child = await write(stamps, changed, random, base);
  const find: FindCheckpoint = async () => base.file;
  return { stamps, files: [child.file, base.file], reader: await CheckpointReader.open(child.file, find, zstd) };
}

async function write(
  stamps: readonly number[],
  pages: readonly number[],
  random: Random,
  parent?: { readonly id: string; readonly seal: string },
) {
  const file = new TrickyFile(parent === undefined ? 'base' : 'child');
  const link = parent === undefined ? {} : { parent: { id: parent.id, seal: parent.seal } };
  const header = { id: identity(random), machine: MACHINE, spaces: [memory(PAGES)], ...link };
  const writer = CheckpointWriter.begin(file, header, zstd);
  const order = [...pages].sort(() => random.below(3) - 1);
  const frames = order.map(page => pageOf(page, stamps[page]!));
  await writer.writePages(0, order, frames);
  const { id, seal } = await writer.finish({ about: about('x') });
  return { file, id, seal };
}

interface Watched {
  readonly pager: Pager;
  readonly tables: MemoryTables;
  readonly errors: AfterimageError[];
  readonly progress: number[];
  readable: number;
}

const open: Watched[] = [];
afterEach(async () => {
  for (const { pager } of open.splice(0)) await pager.close();
});

function restore({ reader }: Checkpoint, workingSet?: readonly number[]): Watched {
  const rig = buildRig(module, { ramPages: PAGES, program: 'nop' });
  const { tables } = rig.manager;
  rig.machine.ram.fill(0);
  tables.setEpochs(0, PAGES, 0);
  const errors: AfterimageError[] = [];
  const progress: number[] = [];
  const pager = new Pager({
    tables,
    reader,
    ...(workingSet === undefined ? {} : { workingSet }),
    events: {
      progress: absent => void progress.push(absent),
      unreadable: error => void errors.push(error),
      readable: () => {
        watched.readable += 1;
      },
    },
  });
  const watched: Watched = { pager, tables, errors, progress, readable: 0 };
  open.push(watched);
  return watched;
}

/** What the hart does when it meets an absent page, but for sleeping. */
function want({ pager, tables }: Watched, page: number): void {
  tables.setWord(tables.layout.WANTED_PAGE, page + 1);
  pager.pump();
}

async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise(resolve => setImmediate(resolve));
}

function expectPages({ tables }: Watched, stamps: readonly number[]): void {
  for (let page = 0; page < PAGES; page += 1) {
    expect(tables.isAbsent(page)).toBe(false);
    expect(Buffer.compare(tables.frameBytes(page), pageOf(page, stamps[page]!)), `page ${page}`).toBe(0);
  }
}

const stored = (stamps: readonly number[]) => [...stamps.keys()].filter(page => stamps[page] !== 0);

describe('a pager', () => {
  test('marks what has content, and brings it all in the background; then the files are closed', async () => {
    const saved = await checkpoint();
    const watched = restore(saved);
    const { pager, tables, progress } = watched;
    expect(pager.absentPages).toBe(stored(saved.stamps).length);
    for (let page = 0; page < PAGES; page += 1) {
      const zero = saved.stamps[page] === 0;
      expect(tables.isAbsent(page)).toBe(!zero);
      expect(tables.epochOf(page)).toBe(zero ? 0 : RESTORED_EPOCH);
    }
    pager.start();
    await until(() => saved.files.every(file => file.closed));
    expect(pager.absentPages).toBe(0);
    expect(progress.at(-1)).toBe(0);
    expect(progress.filter(absent => absent === 0)).toHaveLength(1);
    expectPages(watched, saved.stamps);
    // Each block once.
    for (const file of saved.files) expect(new Set(file.reads).size).toBe(file.reads.length);
  });

  test('brings a wanted page and its block at once, and nothing else unasked', async () => {
    const saved = await checkpoint();
    const watched = restore(saved);
    for (const page of [3, 200, 401].map(from => stored(saved.stamps).find(page => page >= from)!)) {
      const before = watched.pager.absentPages;
      want(watched, page);
      await until(() => !watched.tables.isAbsent(page));
      expect(Buffer.compare(watched.tables.frameBytes(page), pageOf(page, saved.stamps[page]!))).toBe(0);
      expect(before - watched.pager.absentPages).toBeLessThanOrEqual(16);
    }
    expect(watched.pager.absentPages).toBeGreaterThan(PAGES / 2);
  });

  test('brings the working set first, in its order, zeroes and pages out of range passed over', async () => {
    const saved = await checkpoint();
    const first = stored(saved.stamps).slice(-40).reverse();
    const watched = restore(saved, [PAGES + 5, saved.stamps.indexOf(0), ...first]);
    const sources = new PageSources(saved.reader);
    const places = first.map(page => sources.place(sources.blockOf(page)!));
    const expected = [...new Set(places.map(({ file, offset }) => `${file} ${offset}`))];
    const reads: string[] = [];
    for (const file of saved.files) file.log = reads;
    watched.pager.start();
    await until(() => watched.pager.absentPages === 0);
    expect(expected.length).toBeGreaterThan(5);
    expect(reads.slice(0, expected.length)).toEqual(expected);
  });

  test('says which page cannot be read, and where; the hart waits, and goes on when it can be', async () => {
    const saved = await checkpoint();
    const watched = restore(saved);
    const page = stored(saved.stamps)[50]!;
    for (const file of saved.files) file.broken = () => true;
    want(watched, page);
    await until(() => watched.errors.length > 0);
    expect(watched.errors[0]).toMatchObject({
      kind: 'corrupt',
      context: { file: expect.stringMatching(/base|child/), offset: expect.any(Number), page, section: 'blocks' },
    });
    expect(watched.tables.isAbsent(page)).toBe(true);
    watched.pager.pump();
    watched.pager.retry();
    await until(() => watched.errors.length > 1);
    for (const file of saved.files) file.broken = undefined;
    watched.pager.retry();
    await until(() => !watched.tables.isAbsent(page));
    expect(watched.readable).toBe(1);
    expect(watched.errors).toHaveLength(2);
  });

  test('passes over what cannot be read until somebody needs it', async () => {
    const saved = await checkpoint();
    const watched = restore(saved);
    const { pager } = watched;
    const base = saved.files[1]!;
    const sources = new PageSources(saved.reader);
    const page = stored(saved.stamps).find(page => sources.place(sources.blockOf(page)!).file === 'base')!;
    const { offset } = sources.place(sources.blockOf(page)!);
    base.broken = at => at === offset;
    pager.start();
    await until(() => pager.absentPages <= 16);
    expect(watched.tables.isAbsent(page)).toBe(true);
    expect(watched.errors).toEqual([]);
    expect(base.closed).toBe(false);
    base.broken = () => true;
    await expect(pager.require([page])).rejects.toMatchObject({ kind: 'corrupt', context: { file: 'base', page } });
    base.broken = undefined;
    pager.retry();
    await until(() => base.closed);
    expectPages(watched, saved.stamps);
  });

  test('brings everything when asked to, or says what it could not', async () => {
    const saved = await checkpoint();
    const watched = restore(saved);
    saved.files[1]!.broken = at => at > 4096 * 20;
    await expect(watched.pager.finish()).rejects.toMatchObject({ kind: 'corrupt', context: { file: 'base' } });
    saved.files[1]!.broken = undefined;
    watched.pager.retry();
    await watched.pager.finish();
    expectPages(watched, saved.stamps);
    expect(saved.files.every(file => file.closed)).toBe(true);
  });

  test('lets go of its files when closed in the middle', async () => {
    const saved = await checkpoint();
    const watched = restore(saved);
    const gate = Promise.withResolvers<void>();
    for (const file of saved.files) file.gate = gate.promise;
    watched.pager.start();
    const page = stored(saved.stamps)[7]!;
    want(watched, page);
    const closing = watched.pager.close();
    await new Promise(resolve => setImmediate(resolve));
    expect(saved.files.some(file => file.closed)).toBe(false);
    gate.resolve();
    await closing;
    expect(saved.files.every(file => file.closed)).toBe(true);
    expect(watched.tables.isAbsent(page)).toBe(true);
  });

  test('refuses a checkpoint of another size of memory', async () => {
    const saved = await checkpoint();
    const rig = buildRig(module, { ramPages: PAGES * 2, program: 'nop' });
    const events = { progress: () => {}, unreadable: () => {}, readable: () => {} };
    expect(() => new Pager({ tables: rig.manager.tables, reader: saved.reader, events })).toThrow(/another size/);
    await saved.reader.close();
  });
});
