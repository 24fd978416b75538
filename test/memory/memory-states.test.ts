// What the memory manager promises one thing at a time (@req C2, C9, C17, V1, V2, V5, V7, V12).
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import { PageRanges } from '../../engine/memory/page-ranges.ts';
import { CLAIM_CLEAN, HeldPages } from '../../engine/memory/save-states.ts';
import { hashOfPage } from '../../engine/memory/sharing.ts';
import { PAGE as BIT } from '../../engine/memory/summary.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, PAGE, type Rig, randomFrom } from './rig.ts';

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await coreModule();
});

const lookups = ({ machine: { core } }: Rig) => core.word64(core.layout.MAP_LOOKUPS);
const write = ({ memory }: Rig, page: number, value: number) =>
  memory.write(guestPhys(RAM_BASE + page * PAGE), Uint8Array.of(value));

describe('virtualizing', () => {
  test('a machine that was never virtualized, or no longer is, consults no map', () => {
    const rig = buildRig(module, { translated: true });
    rig.machine.run(20_000);
    expect(lookups(rig)).toBe(0n);
    rig.manager.virtualize();
    rig.machine.core.flushTranslations();
    rig.machine.run(2000);
    expect(lookups(rig)).toBeGreaterThan(0n);
    rig.manager.devirtualize(undefined, { mode: 'paused' });
    const before = lookups(rig);
    rig.machine.core.flushTranslations();
    rig.machine.run(20_000);
    expect(lookups(rig)).toBe(before);
  });

  test.each(['devirtualizing', 'virtualizing'])('too many separate ranges are refused at once: %s', how => {
    const { manager } = buildRig(module);
    const limit = manager.tables.layout.MAP_RANGES_LIMIT;
    const one = (index: number) => ({ first: 100 + 2 * index, count: 1 });
    // Holes and islands.
    if (how === 'devirtualizing') manager.virtualize();
    // While a checkpoint is open the map counts for all of memory; this is about what follows.
    manager.hold();
    const ask = (index: number) => {
      if (how === 'devirtualizing') manager.devirtualize(one(index));
      else manager.virtualize(one(index));
    };
    const fit = how === 'devirtualizing' ? limit - 1 : limit;
    for (let index = 0; index < fit; index += 1) ask(index);
    expect(() => ask(fit)).toThrow(/too many separate ranges/);
    manager.release({ mode: 'paused' });
    expect(manager.virtualized).toHaveLength(limit);
    manager.devirtualize(undefined, { mode: 'paused' });
    expect(manager.virtualized).toEqual([]);
  });

  test('a range is virtualized while the rest is not, and the map takes and gives back frames', () => {
    const rig = buildRig(module);
    const { manager } = rig;
    const free = manager.freeFrames;
    manager.virtualize({ first: 300, count: 50 });
    expect(manager.mapFrames).toBe(0);
    manager.scatter(1, { first: 300, count: 50 });
    expect(manager.mapFrames).toBe(1);
    const { pages, counts } = manager.summary();
    expect(counts.VIRTUALIZED).toBe(50);
    expect(counts.REMAPPED).toBe(manager.remappedPages);
    expect(counts.REMAPPED).toBeGreaterThan(20);
    pages.forEach((bits, page) => {
      if ((bits & BIT.REMAPPED) !== 0) expect(page >= 300 && page < 350, `page ${page}`).toBe(true);
    });
    const before = lookups(rig);
    write(rig, 10, 1);
    expect(lookups(rig)).toBe(before);
    write(rig, 310, 1);
    expect(lookups(rig)).toBeGreaterThan(before);
    manager.devirtualize({ first: 310, count: 10 }, { mode: 'paused' });
    expect(manager.virtualized).toEqual([
      { first: 300, count: 10 },
      { first: 320, count: 30 },
    ]);
    manager.devirtualize(undefined, { mode: 'paused' });
    expect(manager.virtualized).toEqual([]);
    expect(manager.freeFrames).toBe(free);
  });

  test('ranges outside memory and more separate ranges than the core has room for are refused', () => {
    const { manager } = buildRig(module);
    expect(() => manager.virtualize({ first: 500, count: 13 })).toThrow('not within memory');
    expect(() => manager.scatter(1, { first: -1, count: 1 })).toThrow('not within memory');
    for (let i = 0; i < 64; i += 1) manager.virtualize({ first: i * 4, count: 1 });
    expect(() => manager.virtualize({ first: 400, count: 1 })).toThrow('too many');
    expect(manager.virtualized).toHaveLength(64);
    expect(manager.audit()).toEqual([]);
  });
});

describe('an open checkpoint', () => {
  test('is the only one, and touches no page when it begins', () => {
    const { manager } = buildRig(module);
    const { tables } = manager;
    const before = tables.bytes.slice(0, tables.layout.FRAMES);
    manager.hold();
    const after = tables.bytes.subarray(0, tables.layout.FRAMES);
    const changed: number[] = [];
    for (let at = 0; at < before.length; at += 1) if (before[at] !== after[at]) changed.push(at);
    // Words of the manager, the range that the map covers, and the TLBs; nothing that there is one of per page.
    expect(changed.every(at => at < tables.layout.SAVE_STATE)).toBe(true);
    expect(() => manager.hold()).toThrow('already');
    manager.release();
    expect(() => manager.release()).toThrow('No checkpoint');
  });

  test('loses no dirty page when it fails', () => {
    const rig = buildRig(module);
    const { manager } = rig;
    const base = manager.hold();
    manager.release({ mode: 'paused' });
    write(rig, 20, 1);
    const failed = manager.hold(base);
    write(rig, 21, 1);
    new HeldPages(manager.tables).abandon();
    manager.release({ mode: 'paused' });
    write(rig, 22, 1);
    expect([...manager.dirtySince(base)]).toEqual([20, 21, 22]);
    expect([...manager.dirtySince(failed)]).toEqual([21, 22]);
    manager.hold(base);
    const held = new HeldPages(manager.tables);
    for (const page of [20, 21, 22]) expect(held.claim(page)).toBeGreaterThanOrEqual(0);
    expect(held.claim(0)).toBe(CLAIM_CLEAN);
  });

  test('has the faults of pages that a device will fill taken first', () => {
    const rig = buildRig(module);
    const { manager, memory } = rig;
    for (const page of [200, 201, 202]) write(rig, page, page);
    manager.hold();
    const segments = memory.pin(guestPhys(RAM_BASE + 200 * PAGE), 2 * PAGE, 'device-writes')!;
    expect(manager.counts.copies).toBe(2);
    expect(manager.tables.frameOf(200)).not.toBe(200);
    expect(new HeldPages(manager.tables).claim(200)).toBe(200);
    memory.unpin(segments);
    manager.forceCow([202]);
    expect(manager.counts.copies).toBe(3);
  });

  test('shows in the summary what is held, shared, zero, dirty and pinned', () => {
    const rig = buildRig(module);
    const { manager, memory } = rig;
    manager.virtualize();
    for (const page of [100, 101]) write(rig, page, 9);
    manager.share('paused');
    const epoch = manager.hold();
    write(rig, 102, 1);
    const segments = memory.pin(guestPhys(RAM_BASE + 103 * PAGE), 8, 'device-writes')!;
    const { pages } = manager.summary({ first: 100, count: 5 }, epoch);
    const { DIRTY, HELD, PINNED, REMAPPED, SHARED, VIRTUALIZED, ZERO } = BIT;
    // Never-written pages share one frame as well.
    expect(pages[0]! & ~REMAPPED).toBe(VIRTUALIZED | HELD | SHARED);
    expect(pages[1]! & ~REMAPPED).toBe(VIRTUALIZED | HELD | SHARED);
    expect(pages[2]! & ~REMAPPED).toBe(VIRTUALIZED | DIRTY);
    expect(pages[3]! & ~REMAPPED).toBe(VIRTUALIZED | DIRTY | PINNED);
    expect(pages[4]! & (ZERO | DIRTY)).toBe(ZERO);
    memory.unpin(segments);
  });

  test('lets a store wait for just its page while another thread saves', async () => {
    const rig = buildRig(module, { reservePages: 0 });
    const { manager, machine } = rig;
    for (let page = 100; page < 110; page += 1) write(rig, page, page);
    manager.hold();
    const { core } = machine;
    const root = new URL('../../engine/memory/', import.meta.url).href;
    // A saver that saves nothing but what the hart waits for, as quickly as it can.
    const worker = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       (async () => {
         const { MemoryTables } = await import('${root}tables.ts');
         const { HeldPages } = await import('${root}save-states.ts');
         const tables = new MemoryTables(new Uint8Array(workerData.buffer), workerData.layout);
         const held = new HeldPages(tables);
         parentPort.postMessage('ready');
         for (let left = 2; left > 0; ) {
           const page = held.urgent;
           if (page === undefined || held.claim(page) < 0) continue;
           parentPort.postMessage(tables.frameBytes(tables.frameOf(page))[0]);
           held.saved(page);
           left -= 1;
         }
       })();`,
      { eval: true, workerData: { buffer: core.memory.buffer, layout: core.layout } },
    );
    const saved: unknown[] = [];
    worker.on('message', message => saved.push(message));
    await new Promise(resolve => worker.once('message', resolve));
    write(rig, 105, 1);
    write(rig, 107, 1);
    expect(manager.counts.waits).toBe(2);
    await new Promise(resolve => worker.once('exit', resolve));
    expect(saved).toEqual(['ready', 105, 107]);
    expect(manager.tables.frameOf(105)).toBe(105);
  });
});

describe('a frame', () => {
  test('that a device reads is not given away when its page has left it', () => {
    const rig = buildRig(module);
    const { manager, memory } = rig;
    write(rig, 100, 7);
    const free = manager.freeFrames;
    const segments = memory.pin(guestPhys(RAM_BASE + 100 * PAGE), 16, 'device-reads')!;
    manager.hold();
    write(rig, 100, 8);
    const held = new HeldPages(manager.tables);
    expect(held.claim(100)).toBe(100);
    held.saved(100);
    manager.release({ mode: 'paused' });
    expect(manager.remappedPages).toBe(1);
    expect(memory.bytes(segments[0]!)[0]).toBe(7);
    memory.unpin(segments);
    expect(manager.finish()).toBe(false);
    expect(manager.remappedPages).toBe(0);
    expect(memory.readU16(guestPhys(RAM_BASE + 100 * PAGE))).toBe(8);
    expect(manager.freeFrames).toBe(free);
  });

  test('is not shared by pages that only their hash makes equal', () => {
    const rig = buildRig(module);
    const { manager, memory } = rig;
    const { tables } = manager;
    // FNV-1a: the second word makes up for the first.
    const step = (hash: number, word: number) => Math.imul(hash ^ word, 0x01000193);
    const [one, other] = [step(0x811c9dc5, 1), step(0x811c9dc5, 2)];
    const words = [Int32Array.of(1, 99), Int32Array.of(2, 99 ^ one ^ other)];
    words.forEach((pair, i) => {
      memory.write(guestPhys(RAM_BASE + (100 + i) * PAGE), new Uint8Array(pair.buffer));
    });
    const hashes = [100, 101].map(page => hashOfPage(tables.words, tables.frameAddress(page) / 4));
    expect(hashes[0]).toBe(hashes[1]);
    manager.virtualize();
    manager.share('paused');
    expect(tables.frameOf(100)).not.toBe(tables.frameOf(101));
    expect(memory.readU16(guestPhys(RAM_BASE + 100 * PAGE))).toBe(1);
    expect(memory.readU16(guestPhys(RAM_BASE + 101 * PAGE))).toBe(2);
  });

  test('that becomes shared is no longer written through what the hart remembers', () => {
    const program =
      'li s0, DATA\nli s1, 0x1000\nadd s1, s1, s0\nloop:\nsd t0, 0(s0)\nld t1, 0(s1)\nor s4, s4, t1\nsd t2, 0(s1)\nj loop';
    const rig = buildRig(module, { program });
    const { core } = rig.machine;
    core.setRegister(5, 5n);
    core.setRegister(7, 5n);
    rig.machine.run(100);
    rig.manager.virtualize({ first: 0x40, count: 2 });
    rig.manager.share('paused');
    expect(rig.manager.counts.shared).toBe(1);
    core.setRegister(5, 10n);
    rig.machine.run(100);
    // Had the first page's store gone to the shared frame, the second would have been seen with 10 in it.
    expect(core.register(20)).toBe(5n);
    expect(rig.manager.audit()).toEqual([]);
  });

  test('that becomes another page of code has that page executed', () => {
    // Two pages with one function each, called in turn.
    const program =
      'li s0, DATA\nli s1, 0x1000\nadd s1, s1, s0\nloop:\njalr ra, 0(s0)\nslli a5, a5, 2\njalr ra, 0(s1)\nslli a5, a5, 1\nj loop';
    const build = () => {
      const rig = buildRig(module, { program });
      // addi a5, a5, 1 or 3; ret
      [1, 3].forEach((value, i) => {
        const at = guestPhys(RAM_BASE + (0x40 + i) * PAGE);
        rig.memory.writeU32(at, 0x00078793 | (value << 20));
        rig.memory.writeU32(guestPhys(at + 4), 0x00008067);
      });
      return rig;
    };
    const [rig, other] = [build(), build()];
    for (const one of [rig, other]) one.machine.run(200);
    rig.manager.virtualize();
    for (let seed = 1; rig.manager.tables.frameOf(0x40) !== 0x41; seed += 1) {
      rig.manager.scatter(seed, { first: 0x40, count: 2 });
    }
    for (const one of [rig, other]) one.machine.run(200);
    expect(rig.machine.core.register(15)).toBe(other.machine.core.register(15));
    expect(rig.machine.core.pc).toBe(other.machine.core.pc);
  });
});

test('page ranges agree with a plain set of pages', () => {
  const random = randomFrom(3);
  const ranges = new PageRanges();
  const pages = new Set<number>();
  for (let step = 0; step < 2000; step += 1) {
    const range = { first: random(64), count: random(12) };
    const adds = random(2) === 0;
    if (adds) ranges.add(range);
    else ranges.remove(range);
    for (let page = range.first; page < range.first + range.count; page += 1) {
      if (adds) pages.add(page);
      else pages.delete(page);
    }
    const listed = ranges.list.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
    expect(listed).toEqual([...pages].sort((a, b) => a - b));
    const page = random(80);
    expect(ranges.has(page)).toBe(pages.has(page));
    expect(ranges.covers(range)).toBe(adds || range.count === 0);
  }
});
