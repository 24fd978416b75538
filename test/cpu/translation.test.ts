// Virtual memory: privileged specification 4.3 to 4.5 (Sv39, Sv48), 3.1.6.3 (MPRV, SUM, MXR).
import { RAM_BASE } from '../../engine/core/core.ts';
import { type PageTables, PTE, SV39, SV48 } from '../framework/page-tables.ts';
import { type ExpectOptions, type Mode, type Scenario, Suite } from './scenario.ts';

const PAGE = 4096n;
const SUM = 1n << 18n;
const MXR = 1n << 19n;
const MPRV = 1n << 17n;
const ADUE = 1n << 61n;
const { V, R, W, X, U, G, A, D } = PTE;
const ALL = V | R | W | X | A | D;
const LOAD_FAULT = 13;
const STORE_FAULT = 15;
const FETCH_FAULT = 12;

/** Where the pages under test are: nothing else is near. */
const VA = 0x1000000000n;

for (const [name, scheme] of [
  ['Sv39', SV39],
  ['Sv48', SV48],
] as const) {
  const suite = new Suite();
  const top = scheme.levels - 1;

  type Access = 'load' | 'store' | 'fetch';
  const FAULTS = { load: LOAD_FAULT, store: STORE_FAULT, fetch: FETCH_FAULT } as const;

  /** Makes one access and says what should come of it. */
  function access(
    s: Scenario,
    what: string,
    kind: Access,
    mode: Mode,
    va: bigint,
    fault: number | undefined,
    options: ExpectOptions = {},
  ): void {
    s.text(`li a1, ${va}\nli a0, 7`);
    if (kind === 'fetch') s.attempt(mode, '', va);
    else s.attempt(mode, kind === 'load' ? 'ld a0, 0(a1)' : 'sd a1, 0(a1)');
    if (fault === undefined) s.expectDone(what, mode);
    else s.expectTrap(what, { ...options, cause: fault, tval: va, ...(kind === 'fetch' ? { epc: va } : {}) });
    if (kind === 'load' && fault !== undefined) s.expect(`${what}: register`, 'a0', 7n);
  }

  /** A frame whose code is a call to the environment. */
  function codeFrame(s: Scenario): number {
    const frame = s.pages(1);
    s.putCode(frame, 'ecall');
    return frame;
  }

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
      s.expectSaved(`${what}, ${kind}: cause`, 8, fault!, { qemuDiffers });
      s.expectSaved(`${what}, ${kind}: tval`, 16, va, { qemuDiffers });
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
    s.expectSaved('store', 8, STORE_FAULT, { qemuDiffers: 'QEMU 7.2 always sets A and D' });
  });

  suite.add('accesses across pages whose frames are apart', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(3);
    tables.map(VA, frames + 8192, ALL).map(VA + PAGE, frames, ALL);
    s.put(frames + 8192 + 4088, 0x8877665544332211n).put(frames, 0xffeeddccbbaa9988n);
    s.useTables(tables).text(`li a1, ${VA + PAGE}`);
    s.attempt('S', 'ld a0, -1(a1)').expect('ld -1', 'a0', 0xeeddccbbaa998888n);
    s.attempt('S', 'ld a0, -7(a1)').expect('ld -7', 'a0', 0x8888776655443322n);
    s.attempt('S', 'lw a0, -2(a1)').expect('lw -2', 'a0', 0xffffffff99888877n);
    s.attempt('S', 'lwu a0, -3(a1)').expect('lwu -3', 'a0', 0x88887766n);
    s.attempt('S', 'lhu a0, -1(a1)').expect('lhu -1', 'a0', 0x8888n);
    s.attempt('S', 'lh a0, -1(a1)').expect('lh -1', 'a0', 0xffffffffffff8888n);
    s.attempt('S', 'fld f1, -4(a1)').expect('fld -4', 'f1', 0xbbaa998888776655n);
    s.attempt('S', 'flw f1, -1(a1)').expect('flw -1', 'f1', 0xffffffffaa998888n);
    s.text('li a0, 0x0123456789abcdef').attempt('S', 'sd a0, -3(a1)');
    s.expectMemory('first frame', frames + 8192 + 4088, 0xabcdef5544332211n);
    s.expectMemory('second frame', frames, 0xffeedd0123456789n);
    s.attempt('S', 'sh a0, -1(a1)\nsw a0, -2(a1)');
    s.expectMemory('first frame', frames + 8192 + 4088, 0xcdefef5544332211n);
    s.expectMemory('second frame', frames, 0xffeedd01234589abn);
  });

  suite.add('accesses that only one of two pages allows', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(2);
    // Pairs of pages: which of the two is there, and for what.
    const pairs: [string, number, number, number | undefined, number | undefined][] = [
      ['second missing', ALL, 0, 1, 1],
      ['first missing', 0, ALL, 0, 0],
      ['both missing', 0, 0, 0, 0],
      ['second read-only', ALL, V | R | A | D, undefined, 1],
      ['first read-only', V | R | A | D, ALL, undefined, 0],
      ['second for users', ALL, ALL | U, 1, 1],
    ];
    s.useTables(tables);
    let va = VA;
    for (const [what, first, second, load, store] of pairs) {
      tables.map(va, frames, first).map(va + PAGE, frames + 4096, second);
      const at = va + PAGE - 3n;
      const fault = (page: number) => (page === 0 ? at : va + PAGE);
      s.text(`li a1, ${at}\nli a0, 77`).attempt('S', 'ld a0, 0(a1)');
      if (load === undefined) s.expectDone(`${what}, load`, 'S');
      else s.expectTrap(`${what}, load`, { cause: LOAD_FAULT, tval: fault(load) }).expect('register', 'a0', 77n);
      s.text('li a0, -1').attempt('S', 'sd a0, 0(a1)');
      if (store === undefined) s.expectDone(`${what}, store`, 'S');
      else s.expectTrap(`${what}, store`, { cause: STORE_FAULT, tval: fault(store) });
      va += 2n * PAGE;
    }
    s.expectMemory('nothing is stored in part', frames + 4088, 0n).expectMemory(
      'nothing is stored in part',
      frames + 4096,
      0n,
    );
  });

  suite.add('instructions across pages', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(3);
    // c.nop; addi a0, a0, 100 in two halves; ecall
    s.putCode(frames + 8192 + 4092, 'c.addi zero, 0\n.half 0x0513');
    s.putCode(frames, '.half 0x0645\necall');
    const exec = V | X | R | A | D;
    tables.map(VA, frames + 8192, exec).map(VA + PAGE, frames, exec);
    tables.map(VA + 2n * PAGE, frames + 8192, exec);
    tables.map(VA + 4n * PAGE, frames + 8192, exec).map(VA + 5n * PAGE, frames, V | R | A | D);
    tables.map(VA + 7n * PAGE, frames, exec);
    s.useTables(tables).text('li a0, 1');
    s.attempt('S', '', VA + 4092n)
      .expectDone('both there', 'S')
      .expect('sum', 'a0', 101n);
    const late = (va: bigint) => ({ cause: FETCH_FAULT, epc: va + 4094n, tval: va + PAGE });
    s.attempt('S', '', VA + 2n * PAGE + 4092n).expectTrap('second missing', late(VA + 2n * PAGE));
    s.attempt('S', '', VA + 4n * PAGE + 4092n).expectTrap('second not executable', late(VA + 4n * PAGE));
    s.attempt('S', '', VA + 4092n)
      .expectDone('both there still', 'S')
      .expect('sum', 'a0', 201n);
    const at = VA + 6n * PAGE + 4094n;
    s.attempt('S', '', at).expectTrap('first missing', { cause: FETCH_FAULT, epc: at, tval: at });
  });

  suite.add('the same half of an instruction before different pages', s => {
    // Two virtual pages show the same frame, which ends in the first half of an instruction; behind them are others.
    const tables = s.tables(scheme);
    const frames = s.pages(3);
    s.putCode(frames + 4094, '.half 0x0513');
    s.putCode(frames + 4096, '.half 0x0645\necall');
    s.putCode(frames + 8192, '.half 0x0c85\necall');
    tables.map(VA, frames, ALL).map(VA + PAGE, frames + 4096, ALL);
    tables.map(VA + 4n * PAGE, frames, ALL).map(VA + 5n * PAGE, frames + 8192, ALL);
    // Both pages are entered before the instruction at their end is met.
    s.putCode(frames, 'ecall').useTables(tables).text('li a0, 0');
    s.attempt('S', '', VA).attempt('S', '', VA + 4n * PAGE);
    for (const round of [1n, 2n]) {
      s.attempt('S', '', VA + 4094n).expect('addi 100', 'a0', 300n * round - 200n);
      s.attempt('S', '', VA + 4n * PAGE + 4094n).expect('addi 200', 'a0', 300n * round);
    }
    s.text(`li t5, ${tables.entryAddress(VA + PAGE)}\nli t6, ${(BigInt((frames + 8192) / 4096) << 10n) | BigInt(ALL)}`);
    s.text(`sd t6, 0(t5)\nli a1, ${VA + PAGE}`).attempt('S', 'sfence.vma a1, zero');
    s.attempt('S', '', VA + 4094n).expect('after remapping', 'a0', 800n);
  });

  suite.add('a fence of the page that holds the second half of an instruction', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(3);
    s.putCode(frames + 4094, '.half 0x0513').putCode(frames + 4096, '.half 0x0645\necall');
    s.putCode(frames + 8192, '.half 0x0c85\necall');
    tables.map(VA, frames, ALL).map(VA + PAGE, frames + 4096, ALL);
    s.useTables(tables).text('li a0, 0');
    s.attempt('S', '', VA + 4094n)
      .attempt('S', '', VA + 4094n)
      .expect('twice addi 100', 'a0', 200n);
    const leaf = BigInt((frames + 8192) / 4096) << 10n;
    s.text(`li t5, ${tables.entryAddress(VA + PAGE)}\nli t6, ${leaf | BigInt(ALL)}\nsd t6, 0(t5)\nli a1, ${VA + PAGE}`);
    s.attempt('S', 'sfence.vma a1, zero')
      .attempt('S', '', VA + 4094n)
      .expect('and addi 200', 'a0', 400n);
    s.text(`li t5, ${tables.entryAddress(VA + PAGE)}\nsd zero, 0(t5)`).attempt('S', 'sfence.vma a1, zero');
    s.attempt('S', '', VA + 4094n);
    s.expectTrap('and not at all', { cause: FETCH_FAULT, epc: VA + 4094n, tval: VA + PAGE }).expect('sum', 'a0', 400n);
  });

  suite.add('a change of mapping counts after SFENCE.VMA', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(3);
    s.put(frames, 1n)
      .put(frames + 4096, 2n)
      .put(frames + 8192, 3n);
    tables.map(VA, frames, ALL).map(VA + PAGE, frames, ALL);
    const leaf = (at: bigint, frame: number, flags = ALL) =>
      s.text(
        `li t5, ${tables.entryAddress(at)}\nli t6, ${(BigInt(frame / 4096) << 10n) | BigInt(flags)}\nsd t6, 0(t5)`,
      );
    const read = (what: string, at: bigint, value: bigint) =>
      s.text(`li a1, ${at}`).attempt('S', 'ld a0, 0(a1)').expectDone(what, 'S').expect(what, 'a0', value);
    s.useTables(tables);
    read('at first', VA, 1n);
    leaf(VA, frames + 4096)
      .text(`li a1, ${VA + 8n}`)
      .attempt('S', 'sfence.vma a1, zero');
    read('after a fence of the page', VA, 2n);
    leaf(VA, frames + 8192).attempt('S', 'sfence.vma');
    read('after a fence of all', VA, 3n);
    leaf(VA, frames).attempt('S', 'li a2, 5\nsfence.vma zero, a2\nsfence.vma zero, zero');
    read('after fences with and without an ASID', VA, 1n);
    leaf(VA, frames, 0).text(`li a1, ${VA}`).attempt('S', 'sfence.vma a1, zero');
    access(s, 'unmapped', 'load', 'S', VA, LOAD_FAULT);
    access(s, 'unmapped', 'store', 'S', VA, STORE_FAULT);
    leaf(VA, frames).attempt('S', 'sfence.vma a1, zero');
    read('mapped again', VA, 1n);
    read('other page', VA + PAGE, 1n);
    leaf(VA, frames, V | R | A | D)
      .text(`li a1, ${VA}`)
      .attempt('S', 'sfence.vma a1, zero');
    access(s, 'made read-only', 'store', 'S', VA, STORE_FAULT);
  });

  suite.add('a store goes where the page is now', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(2);
    tables.map(VA, frames, ALL);
    s.useTables(tables).text(`li a1, ${VA}\nli a0, 1`).attempt('S', 'sd a0, 0(a1)\nsd a0, 8(a1)');
    s.text(
      `li t5, ${tables.entryAddress(VA)}\nli t6, ${(BigInt(frames / 4096 + 1) << 10n) | BigInt(ALL)}\nsd t6, 0(t5)`,
    );
    s.text('li a0, 2').attempt('S', 'sfence.vma a1, zero\nsd a0, 0(a1)');
    s.expectMemory('the old frame', frames, 1n).expectMemory('the new frame', frames + 4096, 2n);
    s.text(
      `li t5, ${tables.entryAddress(VA)}\nli t6, ${(BigInt(frames / 4096) << 10n) | BigInt(V | R | A | D)}\nsd t6, 0(t5)`,
    );
    s.attempt('S', 'sfence.vma a1, zero\nsd a0, 8(a1)').expectSaved('read-only now', 8, STORE_FAULT);
    s.expectMemory('the old frame', frames + 8, 1n);
  });

  suite.add('SFENCE.VMA with any address of a superpage', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(1024 + 512);
    const base = Math.ceil(frames / (2 << 20)) * (2 << 20);
    const other = base + (2 << 20);
    s.put(base + 0x5000, 10n).put(other + 0x5000, 20n);
    tables.map(VA, base, ALL, 1);
    s.useTables(tables).text(`li a1, ${VA + 0x5000n}`);
    s.attempt('S', 'ld a0, 0(a1)').expect('at first', 'a0', 10n);
    s.attempt('S', 'sd a0, 8(a1)').expectDone('store', 'S');
    s.text(`li t5, ${tables.entryAddress(VA, 1)}\nli t6, ${(BigInt(other / 4096) << 10n) | BigInt(ALL)}\nsd t6, 0(t5)`);
    s.text(`li a2, ${VA + 0x1ff000n}`).attempt('S', 'sfence.vma a2, zero');
    s.attempt('S', 'ld a0, 0(a1)').expect('after the fence', 'a0', 20n);
    s.attempt('S', 'sd a0, 16(a1)').expectMemory('the store goes there too', other + 0x5010, 20n);
  });

  suite.add('two address spaces', s => {
    const first = s.tables(scheme);
    const second = s.tables(scheme);
    const frames = s.pages(2);
    s.put(frames, 1n).put(frames + 4096, 2n);
    first.map(VA, frames, ALL);
    second.map(VA, frames + 4096, ALL);
    for (const round of [1, 2]) {
      s.useTables(first).text(`li a1, ${VA}`).attempt('S', 'ld a0, 0(a1)').expect(`first, round ${round}`, 'a0', 1n);
      s.useTables(second).text(`li a1, ${VA}`).attempt('S', 'ld a0, 0(a1)').expect(`second, round ${round}`, 'a0', 2n);
    }
    s.write('satp', 0n).text(`sfence.vma\nli a1, ${frames}`);
    s.attempt('S', 'ld a0, 0(a1)').expect('bare', 'a0', 1n);
  });

  suite.add('M-mode with MPRV', s => {
    const tables = s.tables(scheme);
    const frames = s.pages(2);
    s.put(frames, 5n).put(frames + 4096, 6n);
    tables.map(VA, frames, V | R | W | A | D).map(VA + PAGE, frames + 4096, V | R | U | A | D);
    tables.map(VA + 2n * PAGE, frames, V | X | A | D);
    s.useTables(tables).text(`li a1, ${VA}\nli a2, ${VA + PAGE}\nli a3, ${VA + 2n * PAGE}`);
    // Inside: MPP is set by the attempt itself, so it has to be set again.
    const as = (mpp: bigint, more = 0n) =>
      `li t0, 0x1800\ncsrc mstatus, t0\nli t0, ${MPRV | (mpp << 11n) | more}\ncsrs mstatus, t0\n`;
    const faulted = (what: string, cause: number, tval: bigint) =>
      s.expectSaved(`${what}: cause`, 8, cause).expectSaved(`${what}: tval`, 16, tval);
    s.attempt('M', `${as(1n)}ld a0, 0(a1)`)
      .expectDone('supervisor page as S', 'M')
      .expect('value', 'a0', 5n);
    s.attempt('M', `${as(0n)}ld a0, 0(a1)`);
    faulted('supervisor page as U', LOAD_FAULT, VA);
    s.attempt('M', `${as(0n)}ld a0, 0(a2)`)
      .expectDone('user page as U', 'M')
      .expect('value', 'a0', 6n);
    s.attempt('M', `${as(1n)}ld a0, 0(a2)`);
    faulted('user page as S', LOAD_FAULT, VA + PAGE);
    s.attempt('M', `${as(1n, SUM)}ld a0, 0(a2)`)
      .expectDone('user page as S with SUM', 'M')
      .clear('mstatus', SUM);
    s.attempt('M', `${as(1n)}ld a0, 0(a3)`);
    faulted('executable page as S', LOAD_FAULT, VA + 2n * PAGE);
    s.attempt('M', `${as(1n, MXR)}ld a0, 0(a3)`)
      .expectDone('executable page with MXR', 'M')
      .clear('mstatus', MXR);
    s.attempt('M', `${as(0n)}sd a0, 0(a2)`);
    faulted('store to a read-only page', STORE_FAULT, VA + PAGE);
    s.text(`li a4, ${frames}`)
      .attempt('M', `${as(3n)}ld a0, 0(a4)`)
      .expectDone('as M', 'M')
      .expect('value', 'a0', 5n);
    s.attempt('M', `${as(0n)}li t0, 0x20000\ncsrc mstatus, t0\nld a0, 0(a4)`).expectDone('MPRV off again', 'M');
    s.attempt(
      'M',
      `li t0, 0x20000\ncsrs mstatus, t0\nli t0, 0x1800\ncsrc mstatus, t0\nla t1, 1f\n1f: nop`.replaceAll(
        '1f',
        s.fresh('here'),
      ),
    );
    s.expectDone('fetches are those of M', 'M');
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

  suite.add('device registers behind page tables', s => {
    const tables = s.tables(scheme);
    tables.map(VA, 0x2000000, V | R | W | A | D).map(VA + PAGE, 0x2004000, V | R | W | A | D);
    s.useTables(tables).text(`li a1, ${VA}\nli a2, ${VA + PAGE}\nli a3, 0x123456789`);
    s.attempt('S', 'li a0, 1\nsw a0, 0(a1)\nlw a0, 0(a1)').expect('msip', 'a0', 1n);
    s.expectCsr('MSIP is pending', 'mip', 8n, { mask: 8n });
    s.attempt('S', 'sw zero, 0(a1)\nsd a3, 0(a2)\nld a0, 0(a2)').expect('mtimecmp', 'a0', 0x123456789n);
    const qemuDiffers = 'QEMU 7.2 takes such accesses apart';
    s.attempt('S', 'lw a0, 2(a1)').expectSaved('misaligned load', 8, 5, { qemuDiffers });
    s.attempt('S', 'sw zero, -2(a2)').expectSaved('store across pages', 8, 7, { qemuDiffers });
    s.attempt('S', 'sh zero, 1(a2)').expectSaved('misaligned store', 8, 7, { qemuDiffers });
    s.text('li a3, -1').attempt('S', 'sd a3, 0(a2)').expectCsr('MSIP is gone', 'mip', 0n, { mask: 8n });
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

  suite.define(`Translation by ${name}`);
}

const suite = new Suite();

suite.add('bare addresses have no more than 56 bits', s => {
  for (const va of [1n << 56n, 1n << 63n, 2n ** 64n - 4096n]) {
    s.text(`li a1, ${va}`);
    s.attempt('S', 'ld a0, 0(a1)').expectTrap(`load at ${va.toString(16)}`, { cause: 5, tval: va });
    s.attempt('M', 'sd a0, 0(a1)').expectTrap(`store at ${va.toString(16)}`, { cause: 7, tval: va });
    s.attempt('S', '', va).expectTrap(`fetch at ${va.toString(16)}`, { cause: 1, tval: va, epc: va });
  }
});

suite.add('an access across the end of memory faults where memory ends', s => {
  const end = BigInt(RAM_BASE) + (64n << 20n);
  for (const [code, cause, before] of [
    ['ld a0, 0(a1)', 5, 4n],
    ['lw a0, 0(a1)', 5, 1n],
    ['sd a0, 0(a1)', 7, 7n],
    ['sh a0, 0(a1)', 7, 1n],
  ] as const)
    s.text(`li a1, ${end - before}`)
      .attempt('M', code)
      .expectTrap(code, { cause, tval: end });
});

suite.add('device registers want aligned accesses', s => {
  const qemuDiffers = 'QEMU 7.2 takes such accesses apart';
  s.text('li a1, 0x10000000');
  s.attempt('M', 'lbu a0, 7(a1)').expectDone('a byte', 'M');
  s.attempt('M', 'lhu a0, 1(a1)')
    .expectSaved('load', 8, 5, { qemuDiffers })
    .expectSaved('tval', 16, 0x10000001, { qemuDiffers });
  s.attempt('M', 'sw a0, 2(a1)')
    .expectSaved('store', 8, 7, { qemuDiffers })
    .expectSaved('tval', 16, 0x10000002, { qemuDiffers });
});

suite.define('Without translation');
