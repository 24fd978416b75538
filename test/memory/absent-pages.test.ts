// Lazy restore on the hart's side (@req C17): a machine whose pages are absent until their first use goes on exactly as
// one that has them all, whatever looks at them first. Frames of absent pages hold rubbish, so a look too early shows.
import { beforeAll, describe, expect, test } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import { AbsentPages } from '../../engine/memory/absent-pages.ts';
import { CLAIM_ABSENT, CLAIM_CLEAN, CLAIM_TAKEN, CLAIM_ZERO, HeldPages } from '../../engine/memory/save-states.ts';
import { PAGE as BITS } from '../../engine/memory/summary.ts';
import { TouchLog } from '../../engine/memory/touch-log.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, guestRam, PAGE, type Rig } from './rig.ts';

const RESTORED = 1;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await coreModule();
});

interface Restored extends Rig {
  readonly absent: AbsentPages;
  /** Pages in the order in which the hart asked for them. */
  readonly asked: number[];
  bring(page: number): void;
}

/** A machine that goes on where `original` is, with all of its pages absent. */
function restoreLazily(original: Rig, translated: boolean): Restored {
  const image = guestRam(original);
  const asked: number[] = [];
  const rig = buildRig(module, {
    translated,
    pageIn: page => {
      asked.push(page);
      bring(page);
    },
  });
  const { core } = rig.machine;
  const { tables } = rig.manager;
  const { layout } = core;
  original.machine.core.settle();
  const hart = original.machine.core.bytes.slice(layout.HART, layout.HART + layout.HART_SIZE);
  core.bytes.set(hart, layout.HART);
  const absent = new AbsentPages(tables);
  const runs: { first: number; count: number }[] = [];
  for (let page = 0; page < tables.ramPages; page += 1) {
    tables.setEpochs(page, 1, 0);
    const zero = image.subarray(page * PAGE, (page + 1) * PAGE).every(byte => byte === 0);
    if (!zero) runs.push({ first: page, count: 1 });
    tables.frameBytes(page).fill(zero ? 0 : 0xa5);
  }
  const bring = (page: number) => {
    tables.frameBytes(page).set(image.subarray(page * PAGE, (page + 1) * PAGE));
    absent.arrived(page);
  };
  absent.begin(runs, RESTORED);
  core.view.setUint32(layout.EPOCH, RESTORED + 1, true);
  core.begin();
  return { ...rig, absent, asked, bring };
}

function bringAll({ absent, bring, manager }: Restored): void {
  for (let page = 0; page < manager.tables.ramPages; page += 1) if (absent.has(page)) bring(page);
}

function expectSame(restored: Restored, original: Rig): void {
  bringAll(restored);
  expect(restored.absent.count).toBe(0);
  expect(Buffer.compare(guestRam(restored), guestRam(original)), 'memories differ').toBe(0);
  for (let register = 0; register < 32; register += 1) {
    expect(restored.machine.core.register(register)).toBe(original.machine.core.register(register));
  }
  expect(restored.machine.core.pc).toBe(original.machine.core.pc);
  expect(restored.manager.audit()).toEqual([]);
}

describe.each([
  ['untranslated', false],
  ['translated', true],
] as const)('an %s program whose pages are absent', (_, translated) => {
  const begin = (instructions: number) => {
    const original = buildRig(module, { translated });
    original.machine.run(instructions);
    return { original, restored: restoreLazily(original, translated) };
  };

  test.each([1000, 5_000, 30_011])('goes on after %i instructions as if they were there', instructions => {
    const { original, restored } = begin(instructions);
    const { count } = restored.absent;
    for (const rig of [original, restored]) rig.machine.run(200_000);
    expect(new Set(restored.asked).size, 'a page is asked for once').toBe(restored.asked.length);
    expect(restored.asked.length).toBeGreaterThan(40);
    expect(restored.absent.count).toBe(count - restored.asked.length);
    expectSame(restored, original);
  });

  test('is held by checkpoints that build on the restored one, and saves nothing of them', () => {
    const { original, restored } = begin(20_000);
    const { machine, manager, absent } = restored;
    for (const rig of [original, restored]) rig.machine.run(300);
    const before = absent.count;
    expect(before).toBeGreaterThan(10);
    manager.hold(RESTORED);
    const held = new HeldPages(manager.tables);
    for (let page = 0; page < manager.tables.ramPages; page += 3) {
      const was = absent.has(page);
      const claim = held.claim(page);
      if (was) expect([CLAIM_CLEAN, CLAIM_TAKEN]).toContain(claim);
      if (claim >= 0) held.saved(page);
    }
    for (const rig of [original, restored]) rig.machine.run(100_000);
    for (let page = 0; page < manager.tables.ramPages; page += 1) {
      if (absent.has(page)) expect(held.claim(page)).toBeLessThan(0);
    }
    manager.release({ mode: 'paused' });
    expect(machine.core.layout.HOLDING).toBeGreaterThan(0);
    expectSame(restored, original);
  });

  test('is brought before a full checkpoint saves it', () => {
    const { original, restored } = begin(20_000);
    const { manager, absent, bring } = restored;
    const moment = guestRam(original);
    manager.hold(0);
    for (const rig of [original, restored]) rig.machine.run(400);
    const held = new HeldPages(manager.tables);
    let brought = 0;
    for (let page = 0; page < manager.tables.ramPages; page += 1) {
      let claim = held.claim(page);
      expect(claim === CLAIM_ABSENT).toBe(absent.has(page));
      if (claim === CLAIM_ABSENT) {
        brought += 1;
        bring(page);
        claim = held.claim(page);
      }
      const expected = moment.subarray(page * PAGE, (page + 1) * PAGE);
      if (claim === CLAIM_ZERO) expect(expected.every(byte => byte === 0)).toBe(true);
      else {
        expect(claim).toBeGreaterThanOrEqual(0);
        expect(Buffer.compare(manager.tables.frameBytes(claim), expected), `page ${page}`).toBe(0);
        held.saved(page);
      }
    }
    expect(brought).toBeGreaterThan(10);
    for (const rig of [original, restored]) rig.machine.run(50_000);
    manager.release({ mode: 'paused' });
    expectSame(restored, original);
  });

  test('is left alone by sharing and scattering, which wait; virtualizing and devirtualizing do not', () => {
    const { original, restored } = begin(20_000);
    const { manager } = restored;
    manager.virtualize();
    manager.scatter(7);
    manager.share();
    for (let round = 0; round < 10; round += 1) {
      for (const rig of [original, restored]) rig.machine.run(40);
      manager.work(50);
    }
    expect(restored.absent.count).toBeGreaterThan(0);
    expect(manager.remappedPages).toBe(0);
    expect(manager.busy).toBe(true);
    bringAll(restored);
    while (manager.work(1000));
    expect(manager.remappedPages).toBeGreaterThan(100);
    for (const rig of [original, restored]) rig.machine.run(50_000);
    manager.devirtualize();
    while (manager.work(1000));
    expect(manager.remappedPages).toBe(0);
    expectSame(restored, original);
  });
});

test('devices find absent pages as if they were there', () => {
  const original = buildRig(module);
  original.machine.run(20_000);
  const restored = restoreLazily(original, false);
  const image = guestRam(original);
  const at = (page: number) => guestPhys(RAM_BASE + page * PAGE);
  const inUse = 0x40000 / PAGE;
  expect(restored.absent.has(inUse)).toBe(true);

  const bytes = new Uint8Array(3 * PAGE);
  expect(restored.memory.read(at(inUse), bytes)).toBe(true);
  expect(Buffer.compare(bytes, image.subarray(inUse * PAGE, (inUse + 3) * PAGE))).toBe(0);
  // A part of a page is written: the rest is what it was.
  for (const { memory } of [original, restored]) memory.writeU32(guestPhys(at(inUse + 5) + 8), 77);
  for (const { memory } of [original, restored]) {
    const segments = memory.pin(guestPhys(at(inUse + 7) + 100), 2 * PAGE, 'device-writes')!;
    for (const segment of segments) memory.bytes(segment).fill(3);
    memory.unpin(segments);
    const read = memory.pin(at(inUse + 12), 16, 'device-reads')!;
    expect(
      Buffer.from(memory.bytes(read[0]!)).equals(image.subarray((inUse + 12) * PAGE, (inUse + 12) * PAGE + 16)),
    ).toBe(true);
    memory.unpin(read);
  }
  expect(restored.asked.length).toBe(8);
  expectSame(restored, original);
});

test('a machine that waits for nothing looks at no flag, and a summary shows what is absent', () => {
  const original = buildRig(module);
  original.machine.run(20_000);
  const restored = restoreLazily(original, false);
  const { core } = restored.machine;
  const { layout } = core;
  const { count } = restored.absent;
  expect(restored.manager.summary().counts.ABSENT).toBe(count);
  expect(restored.manager.absentPages).toBe(count);
  expect(core.view.getUint32(layout.PAGE_CHECKS, true)).toBe(layout.PAGE_ABSENT);
  bringAll(restored);
  expect(core.view.getUint32(layout.PAGE_CHECKS, true)).toBe(0);
  expect(restored.manager.summary().pages.every(bits => (bits & BITS.ABSENT) === 0)).toBe(true);
  expect(() => restored.absent.arrived(0)).toThrow(/not absent/);
});

describe('the record of first uses', () => {
  test('has each page once, in order, and ends by itself', () => {
    const rig = buildRig(module, { translated: true });
    rig.machine.run(5_000);
    const log = new TouchLog(rig.manager.tables);
    log.prepare();
    rig.machine.run(5_000);
    expect([...log.pages]).toEqual([]);
    log.begin(rig.machine.core);
    rig.machine.run(100_000);
    log.end();
    const pages = [...log.pages];
    expect(new Set(pages).size).toBe(pages.length);
    // The code first, by way of its page table; then the data, of which each page is used in time.
    expect(pages).toContain(0);
    expect(pages.slice(0, 6)).toContain(0x100000 / PAGE);
    for (let page = 0x40000 / PAGE; page < 0x40000 / PAGE + 64; page += 1) expect(pages).toContain(page);
    rig.machine.run(5_000);
    expect(log.pages).toHaveLength(pages.length);
    expect(rig.machine.core.view.getUint32(rig.machine.core.layout.PAGE_CHECKS, true)).toBe(0);
  });

  test('is kept beside absent pages, and changes nothing', () => {
    const original = buildRig(module, { translated: true });
    original.machine.run(20_000);
    const restored = restoreLazily(original, true);
    const log = new TouchLog(restored.manager.tables);
    log.prepare();
    log.begin(restored.machine.core);
    for (const rig of [original, restored]) rig.machine.run(100_000);
    expect([...log.pages].filter(page => restored.asked.includes(page))).toEqual(restored.asked);
    expectSame(restored, original);
  });
});
