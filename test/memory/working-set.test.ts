// @req C17: what a restore brings first.
import { beforeAll, expect, test } from 'vitest';
import { recentPages, WorkingSet } from '../../engine/memory/working-set.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, PAGE } from './rig.ts';

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await coreModule();
});

const pagesOf = (runs: readonly { readonly first: number; readonly count: number }[]) =>
  runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index));
const DATA = 0x40000 / PAGE;

test.each([false, true])('pages in the TLBs and with decoded code are recent (translated: %s)', translated => {
  const rig = buildRig(module, { translated });
  expect(recentPages(rig.manager.tables)).toEqual([]);
  rig.machine.run(50_000);
  const pages = recentPages(rig.manager.tables);
  expect(new Set(pages).size).toBe(pages.length);
  expect(pages).toContain(0);
  expect(pages).toContain(DATA + 64);
  expect(pages.filter(page => page >= DATA && page < DATA + 64).length).toBeGreaterThan(50);
  expect(pages.every(page => page === 0 || page >= DATA)).toBe(true);
});

test('what is used after the moment comes first, then what was used before it, each page once', () => {
  const rig = buildRig(module, { translated: true });
  rig.machine.run(50_000);
  const working = new WorkingSet(rig.manager.tables);
  rig.manager.hold();
  rig.machine.run(300);
  const pages = pagesOf(working.finish());
  expect(new Set(pages).size).toBe(pages.length);
  // The page tables and the code, since the TLBs were emptied.
  expect(pages.slice(0, 4)).toContain(0x100000 / PAGE);
  expect(pages.slice(0, 6)).toContain(0);
  expect(pages).toContain(DATA + 64);
  rig.machine.run(1000);
  rig.manager.release({ mode: 'paused' });
  expect(rig.machine.core.view.getUint32(rig.machine.core.layout.PAGE_CHECKS, true)).toBe(0);
});

test('a second moment has what was first used since the one before, last', () => {
  const rig = buildRig(module, { translated: false });
  rig.machine.run(1000);
  new WorkingSet(rig.manager.tables);
  rig.manager.hold();
  rig.machine.run(2000);
  rig.manager.release({ mode: 'paused' });
  const since = pagesOf(new WorkingSet(rig.manager.tables).finish());
  expect(since.length).toBeGreaterThan(10);
});
