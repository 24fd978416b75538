// Control and status registers: unprivileged specification 9 (Zicsr), privileged specification 2 to 4.
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../engine/core/core.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { encode } from '../framework/encode.ts';
import { CSRS } from '../framework/registers.ts';
import type { Mode } from './scenario.ts';
import { Suite } from './suite.ts';

const ONES = 2n ** 64n - 1n;
const UXL_SXL = (2n << 32n) | (2n << 34n);
const SD = 1n << 63n;
const STCE = 1n << 63n;
const ADUE = 1n << 61n;

const suite = new Suite();

/** Those that every machine lets S-mode and U-mode read only when M-mode says so are tested as counters. */
const COUNTERS = new Set(['cycle', 'time', 'instret', 'hpmcounter3', 'hpmcounter31', 'stimecmp']);

for (const mode of ['U', 'S'] as const) {
  suite.add(`${mode}-mode reaches its own registers only`, s => {
    const level = mode === 'U' ? 0 : 1;
    for (const [name, number] of Object.entries(CSRS)) {
      if (COUNTERS.has(name)) continue;
      const bits = encode('csrrs', { rd: 10, csr: number, rs1: 0 });
      s.attempt(mode, `.word ${bits}`);
      if (((number >> 8) & 3) <= level) s.expectDone(name, mode);
      else s.expectTrap(name, { cause: 2, tval: bits });
    }
  });
}

const FEWER_COUNTERS = { qemuDiffers: 'QEMU 7.2 has sixteen of these counters' };

suite.add('M-mode reaches all of them', s => {
  for (const name of Object.keys(CSRS)) {
    // RV64 has no odd pmpcfg; mconfigptr is of version 1.12.
    if (name === 'pmpcfg1') s.attempt('M', `csrr a0, ${name}`).expectTrap(name, { cause: 2 });
    else s.attempt('M', `csrr a0, ${name}`).expectDone(name, 'M', name === 'hpmcounter31' ? FEWER_COUNTERS : {});
  }
});

suite.add('read-only registers refuse every form of a write', s => {
  s.text('li a1, 0\nli a2, 1');
  const refused = [
    'csrrw a0, mhartid, a1',
    'csrrw zero, mhartid, zero',
    'csrrs a0, mhartid, a2',
    'csrrc a0, mhartid, a2',
  ];
  refused.push('csrrwi a0, mhartid, 0', 'csrrsi a0, mhartid, 1', 'csrrci a0, mhartid, 1', 'csrrw zero, cycle, a1');
  for (const text of refused) s.attempt('M', text).expectTrap(text, { cause: 2 });
  for (const text of [
    'csrrs a0, mhartid, zero',
    'csrrc a0, mhartid, zero',
    'csrrsi a0, mhartid, 0',
    'csrrci a0, mhartid, 0',
  ])
    s.attempt('M', text).expectDone(text, 'M');
  // Unprivileged specification 9.1: a register other than x0 is a write even when it holds zero.
  const qemuDiffers = 'QEMU 7.2 takes zero for no write';
  s.attempt('M', 'csrrs a0, mhartid, a1').expectSaved('CSRRS of a register that holds zero', 'cause', 2, {
    qemuDiffers,
  });
  s.attempt('M', 'csrrc a0, mhartid, a1').expectSaved('CSRRC of a register that holds zero', 'cause', 2, {
    qemuDiffers,
  });
});

suite.add('the six instructions', s => {
  s.text('li a1, 0xf0f0\nli a2, 0xff00\ncsrw sscratch, a1');
  s.text('csrrw a0, sscratch, a2').expect('CSRRW', 'a0', 0xf0f0n).expectCsr('sscratch', 'sscratch', 0xff00n);
  s.text('csrrs a0, sscratch, a1').expect('CSRRS', 'a0', 0xff00n).expectCsr('sscratch', 'sscratch', 0xfff0n);
  s.text('csrrc a0, sscratch, a2').expect('CSRRC', 'a0', 0xfff0n).expectCsr('sscratch', 'sscratch', 0xf0n);
  s.text('csrrwi a0, sscratch, 31').expect('CSRRWI', 'a0', 0xf0n).expectCsr('sscratch', 'sscratch', 31n);
  s.text('csrrci a0, sscratch, 9').expect('CSRRCI', 'a0', 31n).expectCsr('sscratch', 'sscratch', 22n);
  s.text('csrrsi a0, sscratch, 1').expect('CSRRSI', 'a0', 22n).expectCsr('sscratch', 'sscratch', 23n);
  s.text('li a0, 5\ncsrrw a0, sscratch, a0')
    .expect('one register for both', 'a0', 23n)
    .expectCsr('sscratch', 'sscratch', 5n);
  s.text('csrrs a0, sscratch, a0').expect('one register for both', 'a0', 5n).expectCsr('sscratch', 'sscratch', 0x17n);
});

suite.add('registers that hold any value', s => {
  for (const csr of ['mscratch', 'sscratch', 'mtval', 'stval', 'mcause', 'scause']) {
    const value = csr.endsWith('cause') ? (1n << 63n) | 15n : 0x8123456789abcdefn;
    s.text(`csrr s2, ${csr}`).write(csr, value).expectCsr(csr, csr, value).text(`csrw ${csr}, s2`);
  }
});

suite.add('addresses of traps have even values', s => {
  const options = { qemuDiffers: 'QEMU 7.2 keeps the bit' };
  for (const csr of ['mepc', 'sepc'])
    s.write(csr, ONES)
      .expectCsr(csr, csr, ONES - 1n, options)
      .write(csr, 2n)
      .expectCsr(csr, csr, 2n);
});

suite.add('trap vectors have modes 0 and 1', s => {
  for (const csr of ['stvec', 'mtvec']) {
    s.text(`csrr s2, ${csr}`);
    s.write(csr, 0x80001000n).expectCsr(`${csr} direct`, csr, 0x80001000n);
    s.write(csr, 0x80002001n).expectCsr(`${csr} vectored`, csr, 0x80002001n);
    s.write(csr, 0x80003002n).expectCsr(`${csr} mode 2`, csr, 0x80002001n);
    s.write(csr, 0x80003003n).expectCsr(`${csr} mode 3`, csr, 0x80002001n);
    s.text(`csrw ${csr}, s2`);
  }
});

const XL = (3n << 32n) | (3n << 34n);
const QEMU_UXL = { qemuDiffers: 'QEMU 7.2 lets software write 3 to UXL' };

suite.add('mstatus', s => {
  // All that exists but MPRV, which together with MPP would end the program.
  const known = 0x007c_79aan;
  s.write('mstatus', 0n).expectCsr('all off', 'mstatus', UXL_SXL, { mask: known | XL | SD | (3n << 13n) });
  // MPP cannot be 2: the write leaves it as it was.
  s.write('mstatus', 3n << 11n)
    .write('mstatus', 2n << 11n)
    .text('csrr a0, mstatus\nsrli a0, a0, 11\nandi a0, a0, 3');
  s.expect('MPP 2', 'a0', 3n, { qemuDiffers: 'QEMU 7.2 keeps 2' });
  s.write('mstatus', 1n << 11n)
    .text('csrr a0, mstatus\nsrli a0, a0, 11\nandi a0, a0, 3')
    .expect('MPP S', 'a0', 1n);
  s.write('mstatus', known | XL).expectCsr('all on', 'mstatus', known | SD, { mask: known | SD });
  s.expectCsr('the widths are fixed', 'mstatus', UXL_SXL, { mask: XL, ...QEMU_UXL });
  s.write('mstatus', (1n << 6n) | (3n << 36n)).expectCsr('no big-endian data', 'mstatus', 0n, {
    mask: (1n << 6n) | (3n << 36n),
  });
  s.write('mstatus', 0x6000n).expectCsr('SD with FS dirty', 'mstatus', SD, { mask: SD });
  s.write('mstatus', 0x4000n).expectCsr('SD with FS clean', 'mstatus', 0n, { mask: SD });
  s.write('mstatus', 0x6000n);
});

suite.add('sstatus is a part of mstatus', s => {
  // SIE, SPIE, SPP, FS, SUM, MXR.
  const shared = 0x000c_6122n;
  const all = 0x007c_79aan | (3n << 13n);
  s.write('mstatus', all).expectCsr('what S-mode sees', 'sstatus', shared | SD, { mask: all | SD });
  s.expectCsr('UXL', 'sstatus', 2n << 32n, { mask: XL, ...QEMU_UXL });
  s.write('mstatus', 0n)
    .write('sstatus', ONES)
    .expectCsr('what S-mode can set', 'mstatus', shared | SD, { mask: all | SD });
  s.write('mstatus', all)
    .write('sstatus', 0n)
    .expectCsr('what S-mode can clear', 'mstatus', all & ~shared, { mask: all | SD });
  s.write('mstatus', 0x6000n);
});

suite.add('delegation', s => {
  s.write('medeleg', ONES).expectCsr('medeleg', 'medeleg', 0xb3ffn, { mask: 0xf3ffn });
  s.expectCsr('no calls from M-mode', 'medeleg', 0n, { mask: 1n << 11n, qemuDiffers: 'QEMU 7.2 has the bit' });
  s.write('mideleg', ONES).expectCsr('mideleg', 'mideleg', 0x222n, { mask: 0xaaan });
  s.write('mideleg', 0n).expectCsr('mideleg', 'mideleg', 0n, { mask: 0xaaan });
});

suite.add('sie and sip show what is delegated', s => {
  s.write('mie', ONES).expectCsr('mie', 'mie', 0xaaan, { mask: 0xaaan });
  s.expectCsr('nothing delegated', 'sie', 0n);
  s.write('mideleg', 0x22n).expectCsr('two delegated', 'sie', 0x22n);
  s.write('sie', 0n).expectCsr('only they are cleared', 'mie', 0xa88n, { mask: 0xaaan });
  s.write('mie', 0n).write('sie', ONES).expectCsr('only they are set', 'mie', 0x22n, { mask: 0xaaan });
  s.write('mie', 0n).write('mip', 0x222n).expectCsr('mip', 'mip', 0x222n);
  s.expectCsr('sip', 'sip', 0x22n);
  s.write('sip', 0n).expectCsr('only SSIP can be cleared from below', 'mip', 0x220n);
  s.write('sip', ONES).expectCsr('and set', 'mip', 0x222n);
  s.write('mideleg', 0n).write('sip', 0n).expectCsr('unless it is not delegated', 'mip', 0x222n);
  s.write('mip', 0n).expectCsr('from M-mode', 'mip', 0n);
});

suite.add('mip has no bits of M-mode to write', s => {
  s.write('mip', ONES).expectCsr('mip', 'mip', 0x222n, { mask: 0xaaan });
  s.write('mip', 0n);
});

suite.add('counter-enable registers', s => {
  for (const csr of ['mcounteren', 'scounteren']) {
    s.write(csr, 7n).expectCsr(csr, csr, 7n).write(csr, 0n).expectCsr(csr, csr, 0n);
    s.write(csr, ONES).expectCsr(csr, csr, 0xffffffffn, { qemuDiffers: 'QEMU 7.2 keeps 64 bits' }).write(csr, 0n);
  }
});

suite.add('environment configuration', s => {
  s.write('senvcfg', ONES).expectCsr('senvcfg', 'senvcfg', 1n, { qemuDiffers: 'QEMU has cache operations there' });
  s.write('senvcfg', 0n).expectCsr('senvcfg', 'senvcfg', 0n);
  s.write('menvcfg', ONES).expectCsr('menvcfg', 'menvcfg', 1n | STCE | ADUE, { qemuDiffers: 'QEMU 7.2 has no ADUE' });
  s.write('menvcfg', 0n).expectCsr('menvcfg', 'menvcfg', 0n);
  s.write('menvcfg', STCE | 1n).expectCsr('menvcfg', 'menvcfg', STCE | 1n);
});

suite.add('what the hart is', s => {
  const letters = [...'acdfimsu'].reduce((bits, letter) => bits | (1n << BigInt(letter.charCodeAt(0) - 97)), 0n);
  s.expectCsr('misa', 'misa', (2n << 62n) | letters);
  s.write('misa', 0n).expectCsr('misa keeps its value', 'misa', (2n << 62n) | letters);
  s.expectCsr('mhartid', 'mhartid', 0n).expectCsr('mconfigptr', 'mconfigptr', 0n);
  for (const csr of ['mvendorid', 'marchid', 'mimpid'])
    s.expectCsr(csr, csr, 0n, { qemuDiffers: 'QEMU has numbers of its own' });
});

suite.add('fcsr and its parts', s => {
  s.write('fcsr', ONES).expectCsr('fcsr', 'fcsr', 0xffn).expectCsr('frm', 'frm', 7n).expectCsr('fflags', 'fflags', 31n);
  s.write('frm', 0xan).expectCsr('frm', 'frm', 2n).expectCsr('fcsr', 'fcsr', 0x5fn);
  s.write('fflags', 0xf5n).expectCsr('fflags', 'fflags', 0x15n).expectCsr('fcsr', 'fcsr', 0x55n);
  s.text('csrrci a0, fflags, 4').expect('old flags', 'a0', 0x15n).expectCsr('fcsr', 'fcsr', 0x51n);
});

suite.add('hardware performance counters count nothing', s => {
  s.write('mhpmcounter3', 77n).expectCsr('mhpmcounter3', 'mhpmcounter3', 0n, { qemuDiffers: 'QEMU counts' });
  s.write('mhpmevent3', 77n).expectCsr('mhpmevent3', 'mhpmevent3', 0n, { qemuDiffers: 'QEMU counts' });
});

suite.define('CSRs');

describe('All CSR numbers', () => {
  it('exist in M-mode just when the machine has them', async () => {
    const exists = new Set(Object.values(CSRS));
    exists.delete(CSRS.pmpcfg1!);
    for (let counter = 3; counter < 32; counter++)
      for (const first of [0xb00, 0xc00, 0x320]) exists.add(first + counter);
    expect(await readable('M')).toEqual([...exists].sort((a, b) => a - b));
  });

  it('exist in U-mode only for the floating-point unit, when no counter is open', async () => {
    expect(await readable('U')).toEqual([1, 2, 3]);
  });

  /** Numbers of the CSRs that can be read. */
  async function readable(mode: Mode): Promise<number[]> {
    const a = new Assembler(RAM_BASE);
    a.text(`
      la t0, handler
      csrw mtvec, t0
      li t0, -1
      csrw pmpaddr0, t0
      csrwi pmpcfg0, 31
      li t0, ${0x6000 | (mode === 'M' ? 0x1800 : 0)}
      csrw mstatus, t0
      la t0, begin
      csrw mepc, t0
      li a2, 0x80100000
      mret
    .align 4
    handler:
      li a1, 0
      csrr t0, mepc
      addi t0, t0, 4
      csrw mepc, t0
      mret
    begin:
    `);
    for (let csr = 0; csr < 4096; csr++)
      a.text('li a1, 1').emit('csrrs', { rd: 10, csr }).text('sb a1, 0(a2)\naddi a2, a2, 1');
    a.text('li t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nhang: j hang');
    const machine = new BareMachine(await coreModule(), 2 << 20);
    machine.load(a.build());
    expect(machine.run(100_000)).toEqual({ finisher: 0x5555 });
    const found = machine.ram.subarray(0x100000, 0x100000 + 4096);
    return Array.from({ length: 4096 }, (_, csr) => csr).filter(csr => found[csr] === 1);
  }
});
