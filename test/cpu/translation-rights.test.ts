// What page-table entries allow: privileged specification 4.3 to 4.5 (Sv39, Sv48), 3.1.6.3 (SUM, MXR).
import { type PageTables, PTE, SV39, SV48 } from '../framework/page-tables.ts';
import { Suite } from './suite.ts';
import {
  type Access,
  ALL,
  access,
  codeFrame,
  FAULTS,
  FETCH_FAULT,
  LOAD_FAULT,
  MXR,
  PAGE,
  STORE_FAULT,
  SUM,
  VA,
} from './translation.ts';

const ADUE = 1n << 61n;
const { V, R, W, X, U, G, A, D } = PTE;

for (const [name, scheme] of [
  ['Sv39', SV39],
  ['Sv48', SV48],
] as const) {
  const suite = new Suite();
  const top = scheme.levels - 1;

  const KINDS: readonly [string, number][] = [
    ['r', R],
    ['rw', R | W],
    ['x', X],
    ['rx', R | X],
    ['rwx', R | W | X],
  ];

  for (const [sum, mxr] of [
    [0n, 0n],
    [SUM, 0n],
    [0n, MXR],
    [SUM, MXR],
  ] as const) {
    suite.add(`permissions with${sum ? '' : 'out'} SUM and with${mxr ? '' : 'out'} MXR`, s => {
      const tables = s.tables(scheme);
      s.useTables(tables).set('mstatus', sum | mxr);
      let va = VA;
      for (const [kind, bits] of KINDS) {
        for (const user of [0, U]) {
          tables.map(va, codeFrame(s), V | A | D | bits | user);
          for (const mode of ['S', 'U'] as const) {
            const reachable = mode === 'U' ? user !== 0 : user === 0 || sum !== 0n;
            const what = `${mode} ${kind}${user ? 'u' : ''}`;
            const readable = (bits & R) !== 0 || ((bits & X) !== 0 && mxr !== 0n);
            access(s, `${what} load`, 'load', mode, va, reachable && readable ? undefined : LOAD_FAULT);
            const executable = (bits & X) !== 0 && (mode === 'U') === (user !== 0);
            access(s, `${what} fetch`, 'fetch', mode, va, executable ? undefined : FETCH_FAULT);
            const writable = (bits & W) !== 0;
            access(s, `${what} store`, 'store', mode, va, reachable && writable ? undefined : STORE_FAULT);
            s.text(`li a1, ${va}\nli a0, 0x73`);
            // The store has overwritten the code: back with it for the next mode.
            if (reachable && writable)
              s.set('mstatus', SUM)
                .attempt(mode, 'sw a0, 0(a1)\nfence.i')
                .clear('mstatus', SUM & ~sum);
          }
          va += PAGE;
        }
      }
    });
  }

  suite.add('turning SUM and MXR off again takes effect at once', s => {
    const tables = s.tables(scheme);
    const frame = s.pages(2);
    tables.map(VA, frame, V | R | W | U | A | D).map(VA + PAGE, frame, V | X | A | D);
    s.useTables(tables).set('mstatus', SUM | MXR);
    access(s, 'with SUM', 'load', 'S', VA, undefined);
    access(s, 'with SUM', 'store', 'S', VA, undefined);
    access(s, 'with MXR', 'load', 'S', VA + PAGE, undefined);
    s.clear('mstatus', SUM);
    access(s, 'without SUM', 'load', 'S', VA, LOAD_FAULT);
    access(s, 'without SUM', 'store', 'S', VA, STORE_FAULT);
    s.clear('mstatus', MXR);
    access(s, 'without MXR', 'load', 'S', VA + PAGE, LOAD_FAULT);
  });

  suite.add('entries that are invalid or reserved', s => {
    const tables = s.tables(scheme);
    const frame = codeFrame(s);
    const entries: [string, bigint | number][] = [
      ['not valid', ALL & ~V],
      ['write without read', V | W | A | D],
      ['write and execute without read', V | W | X | A | D],
      ['a pointer at the last level', V],
    ];
    for (let bit = 54n; bit < 64n; bit++) entries.push([`bit ${bit}`, BigInt(ALL) | (1n << bit)]);
    let va = VA;
    s.useTables(tables);
    for (const [what, flags] of entries) {
      tables.write(tables.entryAddress(va), (BigInt(frame / 4096) << 10n) | BigInt(flags));
      for (const kind of ['load', 'store', 'fetch'] as const)
        access(s, `${what}, ${kind}`, kind, 'S', va, FAULTS[kind]);
      va += PAGE;
    }
    // Software may use bits 8 and 9; G means nothing without ASIDs.
    tables.map(va, frame, ALL | G | 0x300);
    access(s, 'global with RSW', 'load', 'S', va, undefined);
  });

  suite.add('pointers to further tables have neither A, D nor U', s => {
    const tables = s.tables(scheme);
    const frame = codeFrame(s);
    s.useTables(tables);
    for (const [index, flag] of [0, A, D, U].entries()) {
      const va = VA + (BigInt(index) << 30n);
      tables.map(va, frame, ALL);
      const pointer = tables.entryAddress(va, 1);
      tables.write(pointer, tables.read(pointer) | BigInt(flag));
      access(s, `flag ${flag}`, 'load', 'S', va, flag === 0 ? undefined : LOAD_FAULT);
    }
  });

  suite.add('superpages of every size, and misaligned ones', s => {
    const tables = s.tables(scheme);
    const frame = s.pages(1);
    s.put(frame + 8, 0x1234n).useTables(tables);
    for (let level = 1; level <= top; level++) {
      const span = 1n << BigInt(12 + 9 * level);
      // The frame is at the same offset in both spaces.
      const va = span * 20n;
      const base = BigInt(frame) & ~(span - 1n);
      tables.map(va, Number(base), ALL, level);
      const at = va + (BigInt(frame) & (span - 1n)) + 8n;
      s.text(`li a1, ${at}`)
        .attempt('S', 'ld a0, 0(a1)')
        .expectDone(`level ${level}`, 'S')
        .expect('value', 'a0', 0x1234n);
      for (let bit = 0; bit < 9 * level; bit += 4) {
        tables.map(va + span * BigInt(bit + 1), Number(base) + (1 << bit) * 4096, ALL, level);
        access(s, `level ${level}, bit ${bit} of the frame`, 'load', 'S', va + span * BigInt(bit + 1), LOAD_FAULT);
      }
    }
  });

  suite.add('addresses whose upper bits are not copies of the sign', s => {
    const tables = s.tables(scheme);
    const frame = codeFrame(s);
    const bits = BigInt(12 + 9 * scheme.levels);
    const half = 1n << (bits - 1n);
    const negative = 2n ** 64n - PAGE;
    tables.map(half - PAGE, frame, ALL).map(negative & (2n * half - 1n), frame, ALL);
    tables.map(half, frame, ALL);
    s.useTables(tables);
    for (const kind of ['fetch', 'load', 'store'] as const) {
      access(s, `${kind}: greatest positive`, kind, 'S', half - PAGE, undefined);
      s.text(`li a1, ${half - PAGE}\nli a0, 0x73\n`).attempt('S', 'sw a0, 0(a1)\nfence.i');
      access(s, `${kind}: last page`, kind, 'S', negative, undefined);
      s.text(`li a1, ${half - PAGE}\nli a0, 0x73\n`).attempt('S', 'sw a0, 0(a1)\nfence.i');
      access(s, `${kind}: least negative`, kind, 'S', 2n ** 64n - half, undefined);
      for (const wrong of [
        half,
        2n * half - PAGE,
        1n << 63n,
        2n ** 64n - half - PAGE,
        (1n << 56n) | VA,
        0x8000_0000_0000_0000n | VA,
      ])
        access(s, `${kind} at ${wrong.toString(16)}`, kind, 'S', wrong, FAULTS[kind]);
    }
  });

  suite.add('A and D are set by hardware with ADUE', s => {
    const tables = s.tables(scheme);
    const frame = codeFrame(s);
    const entry = tables.entryAddress(VA);
    const fresh = (flags: number) =>
      s.text(`li t5, ${entry}\nli t6, ${(BigInt(frame / 4096) << 10n) | BigInt(flags)}\nsd t6, 0(t5)\nsfence.vma`);
    const expectFlags = (what: string, flags: number) => s.expectMemory(what, entry, BigInt(flags), { mask: 0x3ffn });
    s.set('menvcfg', ADUE).useTables(tables);
    fresh(V | R | W | X);
    access(s, 'load', 'load', 'S', VA, undefined);
    expectFlags('after a load', V | R | W | X | A);
    access(s, 'store after a load', 'store', 'S', VA, undefined);
    expectFlags('after a store', V | R | W | X | A | D);
    s.text(`li a0, 0x73\nli a1, ${VA}`).attempt('S', 'sw a0, 0(a1)\nfence.i');
    fresh(V | R | W | X);
    access(s, 'fetch', 'fetch', 'S', VA, undefined);
    expectFlags('after a fetch', V | R | W | X | A);
    fresh(V | R | W | X);
    access(s, 'store', 'store', 'S', VA, undefined);
    expectFlags('after a store alone', V | R | W | X | A | D);
    fresh(V | R | W | X);
    s.text(`li a1, ${VA}`).attempt('S', 'amoadd.d a0, zero, (a1)').expectDone('AMO', 'S');
    expectFlags('after an AMO', V | R | W | X | A | D);
    fresh(V | R | W | X);
    s.text(`li a1, ${VA}`).attempt('S', 'lr.d a0, (a1)').expectDone('LR', 'S');
    expectFlags('after an LR', V | R | W | X | A);
    fresh(V | R | X);
    access(s, 'refused store', 'store', 'S', VA, STORE_FAULT);
    expectFlags('after a refused store', V | R | X);
    fresh(V | R | W | U);
    access(s, 'refused load', 'load', 'S', VA, LOAD_FAULT);
    expectFlags('after a refused load', V | R | W | U);
  });

  suite.add('A and D are left to software without ADUE', s => {
    const qemuDiffers = 'QEMU 7.2 always sets A and D';
    const tables = s.tables(scheme);
    const frame = s.pages(1);
    s.useTables(tables);
    const cases: [string, number, Access, number | undefined][] = [
      ['neither', 0, 'load', LOAD_FAULT],
      ['neither', 0, 'store', STORE_FAULT],
      ['neither', 0, 'fetch', FETCH_FAULT],
      ['only A', A, 'store', STORE_FAULT],
      ['only D', D, 'load', LOAD_FAULT],
      ['only D', D, 'store', STORE_FAULT],
    ];
    let va = VA;
    for (const [what, flags, kind, fault] of cases) {
      tables.map(va, frame, V | R | W | X | flags);
      s.text(`li a1, ${va}`);
      if (kind === 'fetch') s.attempt('S', '', va);
      else s.attempt('S', kind === 'load' ? 'ld a0, 0(a1)' : 'sd a0, 0(a1)');
      s.expectSaved(`${what}, ${kind}: cause`, 'cause', fault!, { qemuDiffers });
      s.expectSaved(`${what}, ${kind}: tval`, 'tval', va, { qemuDiffers });
      s.expectMemory('the entry', tables.entryAddress(va), BigInt(V | R | W | X | flags), {
        mask: 0x3ffn,
        qemuDiffers,
      });
      va += PAGE;
    }
    tables.map(va, frame, V | R | W | X | A);
    access(s, 'load with A', 'load', 'S', va, undefined);
  });

  suite.add('a load does not open a clean page to stores', s => {
    const tables = s.tables(scheme);
    const frame = s.pages(1);
    tables.map(VA, frame, V | R | W | A);
    s.useTables(tables);
    access(s, 'load', 'load', 'S', VA, undefined);
    s.text(`li a1, ${VA}`).attempt('S', 'sd a1, 0(a1)');
    s.expectSaved('store', 'cause', STORE_FAULT, { qemuDiffers: 'QEMU 7.2 always sets A and D' });
  });

  suite.add('page tables outside of memory', s => {
    const tables = s.tables(scheme);
    s.useTables(tables);
    const pointers: [string, number][] = [
      ['nowhere', 0x28000000],
      ['beyond RAM', 0x90000000],
    ];
    for (const [index, [what, to]] of pointers.entries()) {
      const va = VA + (BigInt(index + 1) << 30n);
      tables.map(va, to, V, 1);
      // 4.3.2, step 2: an access fault.
      const options = { qemuDiffers: 'QEMU 7.2 reports a page fault' };
      access(s, `${what}, load`, 'load', 'S', va, 5, options);
      access(s, `${what}, store`, 'store', 'S', va, 7, options);
      access(s, `${what}, fetch`, 'fetch', 'S', va, 1, options);
    }
    // The frame is not there, though the tables are.
    tables.map(VA, 0x28000000, ALL);
    access(s, 'missing frame, load', 'load', 'S', VA, 5);
    access(s, 'missing frame, store', 'store', 'S', VA, 7);
    access(s, 'missing frame, fetch', 'fetch', 'S', VA, 1);
  });

  suite.add('the value of satp', s => {
    const tables: PageTables = s.tables(scheme);
    s.write('satp', tables.satp).expectCsr('a scheme that we have', 'satp', tables.satp);
    // 4.1.11: a write with a mode that is not there has no effect.
    for (const mode of [1n, 7n, 15n]) s.write('satp', mode << 60n).expectCsr(`mode ${mode}`, 'satp', tables.satp);
    s.write('satp', 10n << 60n).expectCsr('Sv57', 'satp', tables.satp, { qemuDiffers: 'QEMU has Sv57' });
    s.write('satp', tables.satp | (0xffffn << 44n));
    s.expectCsr('no ASIDs', 'satp', tables.satp, { qemuDiffers: 'QEMU has ASIDs' });
    s.write('satp', 0n).expectCsr('bare', 'satp', 0n);
  });

  suite.define(`Rights with ${name}`);
}
