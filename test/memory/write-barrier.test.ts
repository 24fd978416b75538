// DESIGN 4: everything that writes guest memory passes one barrier. A copy-on-write epoch is begun in the middle of a
// program that writes in every way the machine has (@req C4, V2, V3): the frames of that moment must stay as they were,
// the machine must not notice, and the pages it wrote must be marked.
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import { MachineMemory } from '../../engine/memory/machine-memory.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { PageTables, PTE, SV39 } from '../framework/page-tables.ts';
import { enterSupervisor } from './supervisor.ts';

const PAGE = 4096;
const RAM = 2 << 20;
const PAGES = RAM / PAGE;
/** Frame of the P→M map, the last of the reserve. */
const MAP_FRAME = 2 * PAGES - 1;
const TABLES_AT = RAM_BASE + 0x100000;
const DATA_AT = RAM_BASE + 0x40000;
/** Virtual address of the data pages while translation is on; each page has its own entry, A and D clear. */
const DATA_VA = 0x40000000n;

/** Rounds of: plain stores of each width, compressed and FP stores, AMO, SC, a store across pages, code that rewrites itself. */
const PROGRAM = `
  li t0, 0x6000
  csrs mstatus, t0
  li s0, ${DATA_VA}
  li s1, 0
round:
  addi s1, s1, 1
  li t2, 0x1000
  mv t1, s0
  sb s1, 3(t1)
  add t1, t1, t2
  sh s1, 6(t1)
  add t1, t1, t2
  sw s1, 12(t1)
  add t1, t1, t2
  sd s1, 16(t1)
  add t1, t1, t2
  mv a0, t1
  c.sw a0, s1, 4
  c.sd a0, s1, 8
  add t1, t1, t2
  fmv.d.x f1, s1
  fsd f1, 24(t1)
  add t1, t1, t2
  amoadd.d t3, s1, (t1)
  add t1, t1, t2
retry:
  lr.d t3, (t1)
  add t3, t3, s1
  sc.d t4, t3, (t1)
  bnez t4, retry
  add t1, t1, t2
  add t1, t1, t2
  slli t3, s1, 40
  or t3, t3, s1
  sd t3, -4(t1)
  # a page that no round before touched: its A and D bits are set now
  slli t3, s1, 12
  add t3, t3, s0
  li t4, 0x10000
  add t3, t3, t4
  sb s1, 0(t3)
  add t1, t1, t2
  # the first instruction of a page of code: addi a5, a5, s1 & 0x3ff
  slli t3, s1, 54
  srli t3, t3, 34
  li t4, 0x00078793
  or t3, t3, t4
  sw t3, 0(t1)
  li t4, 0x00008067
  sw t4, 4(t1)
  fence.i
  jalr ra, 0(t1)
  li t5, ROUNDS
  bne s1, t5, round
  li t0, 0x100000
  li t1, 0x5555
  csrw satp, zero
  sw t1, 0(t0)
`;

const ROUNDS = 40;

interface Held {
  readonly machine: BareMachine;
  readonly memory: MachineMemory;
  /** Pages in the order of their copy-on-write faults. */
  readonly faults: number[];
  /** Makes the machine virtualized (V2) and all of its pages copy-on-write. */
  hold(): void;
}

function build(module: WebAssembly.Module, translated: boolean): Held {
  const faults: number[] = [];
  const machine: BareMachine = new BareMachine(module, RAM, {
    reserveBytes: RAM,
    cowFault: page => {
      const { core } = machine;
      const copy = PAGES + faults.length;
      const { FRAMES } = core.layout;
      const from = FRAMES + core.frameOf(page) * PAGE;
      core.bytes.copyWithin(FRAMES + copy * PAGE, from, from + PAGE);
      core.view.setUint32(FRAMES + MAP_FRAME * PAGE + page * 4, copy, true);
      faults.push(page);
    },
  });
  const { core } = machine;
  const assembler = new Assembler(RAM_BASE);
  if (translated) {
    const image = machine.ram;
    const tables = new PageTables(image, TABLES_AT, SV39);
    for (let i = 0; i < 16 + ROUNDS + 1; i += 1) {
      tables.map(DATA_VA + BigInt(i * PAGE), DATA_AT + i * PAGE, PTE.V | PTE.R | PTE.W | PTE.X);
    }
    tables.map(BigInt(RAM_BASE), RAM_BASE, PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D, 1);
    tables.map(0n, 0, PTE.V | PTE.R | PTE.W | PTE.A | PTE.D, 2);
    assembler.text(enterSupervisor(tables.satp));
  }
  const text = PROGRAM.replace('ROUNDS', String(ROUNDS)).replace(
    `li s0, ${DATA_VA}`,
    `li s0, ${translated ? DATA_VA : DATA_AT}`,
  );
  // In S-mode the first two lines would be illegal, and the end leaves translation on: the tables map the finisher.
  assembler.text(translated ? text.replace('csrs mstatus, t0', 'nop').replace('csrw satp, zero', 'nop') : text);
  machine.load(assembler.build());
  const memory = new MachineMemory({
    bytes: core.bytes,
    frames: core,
    framesAt: core.layout.FRAMES,
    ramAt: guestPhys(RAM_BASE),
    ramSize: RAM,
  });
  const hold = (): void => {
    const { FRAMES, MAP_COUNT, MAP_DIRECTORY, MAP_RANGES } = core.layout;
    const map = FRAMES + MAP_FRAME * PAGE;
    for (let page = 0; page < PAGES; page += 1) core.view.setUint32(map + page * 4, page, true);
    core.view.setUint32(MAP_DIRECTORY, map, true);
    core.view.setUint32(MAP_RANGES, 0, true);
    core.view.setUint32(MAP_RANGES + 4, PAGES, true);
    core.view.setUint32(MAP_COUNT, 1, true);
    core.beginEpoch(true);
  };
  return { machine, memory, faults, hold };
}

/** RAM as the guest sees it, through the P→M map. */
function guestRam({ memory }: Held): Uint8Array {
  const bytes = new Uint8Array(RAM);
  expect(memory.read(guestPhys(RAM_BASE), bytes)).toBe(true);
  return bytes;
}

describe.each([
  ['untranslated', false],
  ['translated', true],
] as const)('a copy-on-write epoch under a running %s program', (_, translated) => {
  let module: WebAssembly.Module;
  let undisturbed: Held;

  beforeAll(async () => {
    module = await coreModule();
    undisturbed = build(module, translated);
    expect(undisturbed.machine.run(1_000_000)).toEqual({ finisher: 0x5555 });
  });

  afterEach(() => {
    expect(undisturbed.faults).toEqual([]);
  });

  test.each([60, 500, 501, 777, 1000])(
    'begun after %i instructions keeps the moment and disturbs nothing',
    instructions => {
      const held = build(module, translated);
      const { machine, faults } = held;
      expect(machine.run(instructions)).toBe('out of instructions');
      const moment = machine.ram.slice();
      const pc = machine.core.pc;
      held.hold();
      expect(machine.core.pc).toBe(pc);
      expect(machine.run(1_000_000)).toEqual({ finisher: 0x5555 });

      expect(Buffer.compare(machine.ram, moment), 'the frames of the moment were written').toBe(0);
      expect(Buffer.compare(guestRam(held), guestRam(undisturbed)), 'the guest sees other memory than without').toBe(0);
      expect(machine.core.register(15)).toBe(undisturbed.machine.core.register(15));
      expect(machine.core.register(9)).toBe(BigInt(ROUNDS));

      // Each page faults once, and those marked dirty are those that faulted: at least every page that differs.
      expect(new Set(faults).size).toBe(faults.length);
      const epoch = machine.core.view.getUint32(machine.core.layout.EPOCH, true);
      const marked = Array.from({ length: PAGES }, (_, page) => page).filter(
        page => machine.core.pageEpoch(page) === epoch,
      );
      expect(marked.toSorted((a, b) => a - b)).toEqual(faults.toSorted((a, b) => a - b));
      const now = guestRam(held);
      for (let page = 0; page < PAGES; page += 1) {
        const at = page * PAGE;
        if (Buffer.compare(now.subarray(at, at + PAGE), moment.subarray(at, at + PAGE)) !== 0)
          expect(marked).toContain(page);
      }
    },
  );

  test('holds for what devices write', () => {
    const held = build(module, translated);
    const { machine, memory, faults } = held;
    machine.run(500);
    held.hold();
    const moment = machine.ram.slice();
    const across = DATA_AT + 12 * PAGE - 3;
    expect(memory.write(guestPhys(across), Uint8Array.of(1, 2, 3, 4, 5, 6))).toBe(true);
    expect(memory.writeU32(guestPhys(DATA_AT + 13 * PAGE), 0x12345678)).toBe(true);
    const segments = memory.pin(guestPhys(DATA_AT + 14 * PAGE - 8), 16, 'device-writes')!;
    for (const segment of segments) memory.bytes(segment).fill(0xaa);
    memory.unpin(segments);
    expect(memory.pin(guestPhys(DATA_AT + 15 * PAGE), 16, 'device-reads')).toHaveLength(1);
    expect(Buffer.compare(machine.ram, moment)).toBe(0);
    const pages = [11, 12, 13, 14].map(index => (DATA_AT - RAM_BASE) / PAGE + index);
    expect(faults.toSorted((a, b) => a - b)).toEqual(
      pages.filter(page => page !== pages.at(-1) || faults.includes(page)),
    );
    expect(guestRam(held)[across - RAM_BASE + 5]).toBe(6);
  });

  test('no map exists or is consulted before, and hits cost no look-up after (V1, V4, V12)', () => {
    const held = build(module, translated);
    const { core } = held.machine;
    held.machine.run(500);
    expect(core.word64(core.layout.MAP_LOOKUPS)).toBe(0n);
    held.hold();
    held.machine.run(200);
    expect(core.word64(core.layout.MAP_LOOKUPS)).toBeGreaterThan(0n);
  });
});
