// `node test/bench/memory.ts`: what the memory manager costs. Medians; each figure says what it is to be compared with.
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, type Rig } from '../memory/rig.ts';
import { sampleOf } from './statistics.ts';

const MIB_PAGES = 256;
const module = await coreModule();

function microseconds(act: () => void): number {
  const begin = performance.now();
  act();
  return (performance.now() - begin) * 1000;
}

function report(what: string, values: readonly number[], unit: string): void {
  const { median, least, most } = sampleOf(values);
  console.log(`${what.padEnd(64)} ${median.toFixed(2).padStart(10)} ${unit}  (${least.toFixed(2)}-${most.toFixed(2)})`);
}

/** Fills every page through the barrier, so that it exists and counts as written. */
function fill({ machine, manager }: Rig): void {
  const { ramPages } = manager.tables;
  for (let page = 0; page < ramPages; page += 1) {
    const frame = machine.core.frameForStore(page);
    manager.tables.words.fill(
      page * 31 + 1,
      manager.tables.frameAddress(frame) / 4,
      manager.tables.frameAddress(frame) / 4 + 1024,
    );
  }
}

function holds(): void {
  for (const mib of [256, 1024, 3072]) {
    const rig = buildRig(module, {
      now: () => performance.now(),
      ramPages: mib * MIB_PAGES,
      reservePages: 16 * MIB_PAGES,
    });
    const { machine, manager } = rig;
    const pauses: number[] = [];
    for (let i = 0; i < 300; i += 1) {
      machine.run(20_000);
      manager.prepareHold();
      pauses.push(microseconds(() => manager.hold()));
      machine.run(20_000);
      manager.release();
      while (manager.work(100)) machine.run(1000);
    }
    report(`hold() at ${mib} MiB`, pauses, 'µs');
    report('  the slowest hundredth', pauses.toSorted((a, b) => a - b).slice(-3), 'µs');
  }
}

function faults(): void {
  const pages = 64 * MIB_PAGES;
  const rig = buildRig(module, { now: () => performance.now(), ramPages: pages, reservePages: pages + MIB_PAGES });
  const { machine, manager } = rig;
  fill(rig);
  const { core } = machine;
  const each: number[] = [];
  const again: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    manager.hold();
    each.push(
      microseconds(() => {
        for (let page = 0; page < pages; page += 1) core.frameForStore(page);
      }) / pages,
    );
    again.push(
      microseconds(() => {
        for (let page = 0; page < pages; page += 1) core.frameForStore(page);
      }) / pages,
    );
    manager.release({ mode: 'paused' });
  }
  report('COW fault with copy, per page', each, 'µs');
  report('  a call through the barrier that meets no fault', again, 'µs');
  report(
    '  removing a frame from the TLBs one by one',
    Array.from(
      { length: 9 },
      () =>
        microseconds(() => {
          for (let i = 0; i < 1000; i += 1) core.forgetFrame(i);
        }) / 1000,
    ),
    'µs',
  );
  report(
    '  flushing the TLBs',
    Array.from(
      { length: 9 },
      () =>
        microseconds(() => {
          for (let i = 0; i < 1000; i += 1) core.flushTranslations();
        }) / 1000,
    ),
    'µs',
  );
}

function devirtualization(): void {
  const pages = 1024 * MIB_PAGES;
  const rig = buildRig(module, { now: () => performance.now(), ramPages: pages, reservePages: 128 * MIB_PAGES });
  fill(rig);
  const { core } = rig.machine;
  const copy = () => {
    for (let frame = 0; frame < pages / 2; frame += 1) core.copyFrame(frame, pages / 2 + frame);
    for (let frame = 0; frame < pages / 2; frame += 1) core.copyFrame(pages / 2 + frame, frame);
  };
  report(
    '1 GiB copied page by page, in order',
    Array.from({ length: 3 }, () => microseconds(copy) / 1000),
    'ms',
  );
  // An order without locality, as a scattered map makes it: 7919 is prime to the number of frames.
  const randomly = () => {
    for (let i = 0; i < pages; i += 1) core.copyFrame((i * 7919) % pages, (i * 104_729 + 77) % pages);
  };
  report(
    '1 GiB copied page by page, in no order',
    Array.from({ length: 3 }, () => microseconds(randomly) / 1000),
    'ms',
  );
  for (const reverse of ['backmap', 'refcount', 'search'] as const) {
    const times: number[] = [];
    const before = { ...rig.manager.counts };
    for (let i = 0; i < 3; i += 1) {
      rig.manager.virtualize();
      rig.manager.scatter(i + 1);
      times.push(microseconds(() => rig.manager.devirtualize(undefined, { mode: 'paused', reverse })) / 1000);
    }
    report(`1 GiB fully scattered, devirtualized paused, ${reverse}`, times, 'ms');
    const { direct, indirect } = rig.manager.counts;
    console.log(
      `  per run ${((direct - before.direct) / 3).toFixed(0)} direct moves, ${((indirect - before.indirect) / 3).toFixed(1)} indirect ones`,
    );
  }
  const { manager } = rig;
  for (const reverse of ['backmap', 'refcount', 'search'] as const) {
    manager.virtualize();
    // Neighbours change places, so that there are only cycles, and those short: the worst case for knowing little.
    for (let first = 0; first < pages; first += 2) manager.scatter(first * 7919 + 1, { first, count: 2 });
    const remapped = manager.remappedPages;
    const time = microseconds(() => manager.devirtualize(undefined, { mode: 'paused', reverse })) / 1000;
    report(`  neighbours exchanged (${remapped} pages), ${reverse}`, [time], 'ms');
  }
  const slices: number[] = [];
  rig.manager.virtualize();
  rig.manager.scatter(9);
  rig.manager.devirtualize();
  for (let more = true; more; )
    slices.push(
      microseconds(() => {
        more = rig.manager.work(100);
      }),
    );
  report(`1 GiB concurrently: ${slices.length} slices of 100 µs, each`, slices, 'µs');
}

/** Loads and stores over 16 pages, all of which hit the TLBs. */
const HITS = `
  li s0, DATA
  li s1, 0xffff
outer:
  li t0, 0
inner:
  add t1, s0, t0
  ld t2, 0(t1)
  addi t2, t2, 1
  sd t2, 0(t1)
  addi t0, t0, 1096
  blt t0, s1, inner
  j outer
`;

function speedOf(what: string, program?: string): void {
  const rates = { never: [] as number[], scattered: [] as number[], after: [] as number[] };
  const rig = buildRig(module, {
    translated: true,
    ramPages: 64 * MIB_PAGES,
    reservePages: 16 * MIB_PAGES,
    ...(program === undefined ? {} : { program }),
  });
  // Processor time: the differences looked for are smaller than those that other programs make.
  const run = () => {
    const before = process.cpuUsage();
    rig.machine.run(5_000_000, 20_000);
    return 5_000_000 / process.cpuUsage(before).user;
  };
  rig.machine.run(5_000_000, 20_000);
  for (let i = 0; i < 15; i += 1) {
    rates.never.push(run());
    rig.manager.virtualize();
    rig.manager.scatter(i + 1);
    rates.scattered.push(run());
    rig.manager.devirtualize(undefined, { mode: 'paused' });
    rates.after.push(run());
  }
  report(`${what}, unvirtualized`, rates.never, 'MIPS');
  report(`${what}, virtualized and scattered`, rates.scattered, 'MIPS');
  report(`${what}, after devirtualization`, rates.after, 'MIPS');
}

function speed(): void {
  speedOf('hits only', HITS);
  speedOf('random accesses and new code');
}

const parts = { holds, faults, devirtualization, speed };
const wanted = process.argv.slice(2);
for (const [name, part] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) part();
