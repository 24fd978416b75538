// The A extension: unprivileged specification 8.
import { PTE, SV39 } from '../framework/page-tables.ts';
import { Suite } from './suite.ts';

const suite = new Suite();

suite.add('LR and SC', s => {
  const at = s.pages(1);
  s.put(at, 0xffffffff80000001n)
    .put(at + 8, 0x1122334455667788n)
    .text(`li a1, ${at}\nli a2, 0x99aabbccddeeff00`);
  s.text('li a0, 7\nlr.w a3, (a1)\nsc.w a0, a2, (a1)')
    .expect('LR.W', 'a3', 0xffffffff80000001n)
    .expect('SC.W', 'a0', 0n);
  s.expectMemory('stored', at, 0xffffffffddeeff00n);
  s.text('addi a4, a1, 8\nlr.d a3, (a4)\nsc.d a0, a2, (a4)')
    .expect('LR.D', 'a3', 0x1122334455667788n)
    .expect('SC.D', 'a0', 0n);
  s.expectMemory('stored', at + 8, 0x99aabbccddeeff00n);
  s.text('sc.d a0, a1, (a4)')
    .expect('SC alone', 'a0', 1n)
    .expectMemory('not stored', at + 8, 0x99aabbccddeeff00n);
  s.text('lr.d a3, (a4)\nsc.d a0, a1, (a1)').expect('SC elsewhere', 'a0', 1n);
  s.text('sc.d a0, a1, (a4)').expect('that SC has ended the reservation', 'a0', 1n);
  s.text('lr.d a3, (a1)\nlr.d a3, (a4)\nsc.d a0, a1, (a1)').expect('only the last LR counts', 'a0', 1n);
  s.text('lr.d a3, (a4)\nsd a1, 0(a4)\nsc.d a0, a2, (a4)').expect('the value has changed between', 'a0', 1n, {
    // 8.2 lets it succeed or fail.
    qemuDiffers: 'up to the machine',
  });
  s.text('lr.d a0, (a4)\nsc.d a0, a0, (a4)')
    .expect('one register for both', 'a0', 0n)
    .expectMemory('unchanged', at + 8, BigInt(at));
  s.text('lr.w zero, (a1)\nsc.w zero, a2, (a1)').expectMemory('results thrown away', at, 0xffffffffddeeff00n);
});

suite.add('misaligned addresses', s => {
  const at = s.pages(1);
  for (const [code, size, cause] of [
    ['lr.w a0, (a1)', 4, 4],
    ['lr.d a0, (a1)', 8, 4],
  ] as const) {
    for (const offset of [1, 2, size - 1]) {
      s.text(`li a1, ${at + offset}\nli a0, 9`)
        .attempt('M', code)
        .expectTrap(`${code} at ${offset}`, { cause, tval: at + offset });
      s.expect('register', 'a0', 9n);
    }
  }
  for (const [code, size] of [
    ['amoadd.w a0, a1, (a1)', 4],
    ['amoswap.d a0, a1, (a1)', 8],
    ['sc.w a0, a1, (a1)', 4],
    ['sc.d a0, a1, (a1)', 8],
  ] as const) {
    const qemuDiffers = code.startsWith('sc') ? 'QEMU 7.2 looks for a reservation first' : 'QEMU 7.2 reports a load';
    for (const offset of [1, 2, size - 1]) {
      s.text(`li a1, ${at + offset}\nli a0, 9`)
        .attempt('M', code)
        .expectSaved(`${code} at ${offset}: cause`, 'cause', 6, { qemuDiffers });
      s.expectSaved('tval', 'tval', at + offset, { qemuDiffers }).expect('register', 'a0', 9n, { qemuDiffers });
    }
  }
  s.expectMemory('memory', at, 0n);
});

suite.add('a doubleword needs more alignment than a word', s => {
  const at = s.pages(1) + 4;
  s.text(`li a1, ${at}\nli a0, 9`).attempt('M', 'amoadd.w a0, zero, (a1)\nlr.w a0, (a1)').expectDone('word', 'M');
  s.attempt('M', 'lr.d a0, (a1)').expectTrap('doubleword', { cause: 4, tval: at });
});

suite.add('pages that may not be read or written', s => {
  const tables = s.tables(SV39);
  const frame = s.pages(1);
  const va = 0x1000000000n;
  s.put(frame, 41n);
  tables.map(va, frame, PTE.V | PTE.R | PTE.A | PTE.D).map(va + 8192n, frame, PTE.V | PTE.R | PTE.W | PTE.A | PTE.D);
  s.useTables(tables).text(`li a1, ${va}\nli a2, ${va + 8192n}\nli a3, ${va + 4096n}\nli a0, 1`);
  s.attempt('S', 'lr.d a0, (a1)').expectDone('LR of a read-only page', 'S').expect('value', 'a0', 41n);
  s.attempt('S', 'lr.d a0, (a3)').expectTrap('LR of no page', { cause: 13, tval: va + 4096n });
  const qemuDiffers = 'QEMU 7.2 with one hart reports a load, or fails an SC first';
  for (const code of ['amoadd.d a0, a0, (a1)', 'sc.d a0, a0, (a1)', 'amoor.w a0, zero, (a1)']) {
    s.attempt('S', code)
      .expectSaved(`${code}: cause`, 'cause', 15, { qemuDiffers })
      .expectSaved('tval', 'tval', va, { qemuDiffers });
    s.expect('register', 'a0', 41n, { qemuDiffers });
  }
  s.attempt('S', 'amoadd.d a0, zero, (a3)').expectSaved('AMO of no page: cause', 'cause', 15, { qemuDiffers });
  s.text('li a4, 1')
    .attempt('S', 'amoadd.d a0, a4, (a2)')
    .expectDone('AMO of a writable page', 'S')
    .expectMemory('sum', frame, 42n);
});

suite.add('a reservation outlives a trap, or not, but never lies', s => {
  const at = s.pages(1);
  s.put(at, 5n).text(`li a1, ${at}\nli a2, 6`);
  s.attempt('M', 'lr.d a0, (a1)\n.word 0xffff877f').text('sc.d a3, a2, (a1)\nld a4, 0(a1)');
  // Success with the new value, failure with the old: a3 + a4 is 6 in either case.
  s.text('add a4, a4, a3').expect('either way', 'a4', 6n);
});

suite.add('where no memory is', s => {
  s.text('li a1, 0x28000000');
  s.attempt('M', 'lr.w a0, (a1)').expectTrap('LR', { cause: 5, tval: 0x28000000n });
  s.attempt('M', 'amoadd.w a0, zero, (a1)').expectSaved('AMO', 'cause', 7, { qemuDiffers: 'QEMU 7.2 reports a load' });
  // Device registers do not support them here.
  s.text('li a1, 0x2000000').attempt('M', 'amoadd.w a0, zero, (a1)');
  s.expectSaved('AMO of a device', 'cause', 7, { qemuDiffers: 'QEMU lets AMOs reach devices' });
});

suite.define('Atomic memory operations');
