// Accesses across pages, fences, address spaces: privileged specification 4.2.1, 4.3, 3.1.6.3 (MPRV).
import { PTE, SV39, SV48 } from '../framework/page-tables.ts';
import { Suite } from './suite.ts';
import { ALL, access, FETCH_FAULT, LOAD_FAULT, MPRV, MXR, PAGE, STORE_FAULT, SUM, VA } from './translation.ts';

const { V, R, W, X, U, A, D } = PTE;

for (const [name, scheme] of [
  ['Sv39', SV39],
  ['Sv48', SV48],
] as const) {
  const suite = new Suite();

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
    s.attempt('S', 'sfence.vma a1, zero\nsd a0, 8(a1)').expectSaved('read-only now', 'cause', STORE_FAULT);
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
      s.expectSaved(`${what}: cause`, 'cause', cause).expectSaved(`${what}: tval`, 'tval', tval);
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

  suite.add('device registers behind page tables', s => {
    const tables = s.tables(scheme);
    tables.map(VA, 0x2000000, V | R | W | A | D).map(VA + PAGE, 0x2004000, V | R | W | A | D);
    s.useTables(tables).text(`li a1, ${VA}\nli a2, ${VA + PAGE}\nli a3, 0x123456789`);
    s.attempt('S', 'li a0, 1\nsw a0, 0(a1)\nlw a0, 0(a1)').expect('msip', 'a0', 1n);
    s.expectCsr('MSIP is pending', 'mip', 8n, { mask: 8n });
    s.attempt('S', 'sw zero, 0(a1)\nsd a3, 0(a2)\nld a0, 0(a2)').expect('mtimecmp', 'a0', 0x123456789n);
    const qemuDiffers = 'QEMU 7.2 takes such accesses apart';
    s.attempt('S', 'lw a0, 2(a1)').expectSaved('misaligned load', 'cause', 5, { qemuDiffers });
    s.attempt('S', 'sw zero, -2(a2)').expectSaved('store across pages', 'cause', 7, { qemuDiffers });
    s.attempt('S', 'sh zero, 1(a2)').expectSaved('misaligned store', 'cause', 7, { qemuDiffers });
    s.text('li a3, -1').attempt('S', 'sd a3, 0(a2)').expectCsr('MSIP is gone', 'mip', 0n, { mask: 8n });
  });

  suite.define(`Pages with ${name}`);
}
