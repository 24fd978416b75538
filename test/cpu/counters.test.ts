// Counters and timers: privileged specification 3.1.10 to 3.1.12, 4.1.5, Sstc; unprivileged specification 10.
import type { Mode } from './scenario.ts';
import { Suite } from './suite.ts';

const TM = 2n;
const STCE = 1n << 63n;
const STIP = 1n << 5n;
const COUNTERS = ['cycle', 'time', 'instret', 'hpmcounter3'];

const suite = new Suite();

suite.add('who may read them', s => {
  for (const [bit, name] of COUNTERS.entries()) {
    for (const machine of [0n, 1n << BigInt(bit)]) {
      for (const supervisor of [0n, 1n << BigInt(bit)]) {
        // The other counters say the opposite.
        const rest = 15n & ~(1n << BigInt(bit));
        s.write('mcounteren', machine | (machine ? 0n : rest)).write(
          'scounteren',
          supervisor | (supervisor ? 0n : rest),
        );
        const may = (mode: Mode) => mode === 'M' || (machine !== 0n && (mode === 'S' || supervisor !== 0n));
        for (const mode of ['U', 'S', 'M'] as const) {
          s.attempt(mode, `csrr a0, ${name}`);
          const what = `${name} in ${mode}, mcounteren ${machine}, scounteren ${supervisor}`;
          if (may(mode)) s.expectDone(what, mode);
          else s.expectTrap(what, { cause: 2 });
        }
      }
    }
  }
});

suite.add('instret counts each instruction', s => {
  const qemuDiffers = 'QEMU counts time unless told to count instructions';
  s.text('csrr a0, instret\ncsrr a1, instret\nsub a0, a1, a0').expect('next to each other', 'a0', 1n, { qemuDiffers });
  s.text('csrr a0, minstret\nnop\nnop\nnop\nc.addi zero, 0\nc.addi zero, 0\ncsrr a1, minstret\nsub a0, a1, a0');
  s.expect('five between', 'a0', 6n, { qemuDiffers });
  // The increment of the writing instruction comes before the write.
  s.text('li a0, 1000\ncsrw minstret, a0\ncsrr a1, minstret\ncsrr a2, instret');
  s.expect('written', 'a1', 1000n, { qemuDiffers }).expect('and on', 'a2', 1001n, { qemuDiffers });
  s.text('li a0, -1\ncsrw mcycle, a0\ncsrr a1, mcycle\ncsrr a2, cycle');
  s.expect('mcycle', 'a1', -1n, { qemuDiffers }).expect('wraps', 'a2', 0n, { qemuDiffers });
  // The first read, LI, and ten times two.
  const loop = s.fresh('loop');
  s.text(`csrr a0, minstret\nli a2, 10\n${loop}: addi a2, a2, -1\nbnez a2, ${loop}\ncsrr a1, minstret\nsub a0, a1, a0`);
  s.expect('a loop', 'a0', 22n, { qemuDiffers });
});

suite.add('cycle never stands still', s => {
  s.text('csrr a0, cycle\nnop\ncsrr a1, cycle\nsltu a2, a0, a1').expect('cycle', 'a2', 1n);
});

suite.add('time is that of the CLINT and goes on', s => {
  s.text('li a3, 0x200bff8\nld a0, 0(a3)\ncsrr a1, time\nld a2, 0(a3)\nsltu a4, a1, a0\nsltu a5, a2, a1');
  s.expect('not before', 'a4', 0n).expect('not after', 'a5', 0n);
  const loop = s.fresh('loop');
  s.text(
    `li a5, 100000000\ncsrr a0, time\n${loop}: csrr a1, time\naddi a5, a5, -1\nbeqz a5, .time_end\nbeq a0, a1, ${loop}\n.time_end: sltu a2, a0, a1`,
  );
  s.expect('it has gone on', 'a2', 1n);
});

suite.add('stimecmp belongs to S-mode only with STCE and TM', s => {
  for (const [stce, tm, allowed] of [
    [0n, 0n, false],
    [STCE, 0n, false],
    [0n, TM, false],
    [STCE, TM, true],
  ] as const) {
    s.write('menvcfg', stce).write('mcounteren', tm).text('li a0, -1');
    const what = `STCE ${stce !== 0n}, TM ${tm !== 0n}`;
    s.attempt('S', 'csrr a1, stimecmp');
    if (allowed) s.expectDone(`${what}, read`, 'S');
    else s.expectTrap(`${what}, read`, { cause: 2, tval: 0x14d025f3n });
    s.attempt('S', 'csrw stimecmp, a0');
    if (allowed) s.expectDone(`${what}, write`, 'S');
    else s.expectTrap(`${what}, write`, { cause: 2, tval: 0x14d51073n });
    s.attempt('U', 'csrr a1, stimecmp').expectTrap(`${what}, U-mode`, { cause: 2 });
    s.attempt('M', 'csrr a1, stimecmp').expectDone(`${what}, M-mode`, 'M');
  }
});

suite.add('STIP is the comparison of time with stimecmp', s => {
  s.write('menvcfg', STCE)
    .write('stimecmp', -1n & (2n ** 64n - 1n))
    .expectCsr('far away', 'mip', 0n, { mask: STIP });
  s.write('stimecmp', 0n).expectCsr('past', 'mip', STIP, { mask: STIP });
  s.text('li t5, 0x20\ncsrc mip, t5').expectCsr('cannot be cleared', 'mip', STIP, { mask: STIP });
  s.write('stimecmp', 2n ** 64n - 1n).expectCsr('far away again', 'mip', 0n, { mask: STIP });
  s.text('li t5, 0x20\ncsrs mip, t5').expectCsr('cannot be set', 'mip', 0n, { mask: STIP });
  s.write('mideleg', STIP).write('stimecmp', 0n).expectCsr('sip', 'sip', STIP, { mask: STIP });
  s.write('stimecmp', 2n ** 64n - 1n).write('menvcfg', 0n);
});

suite.add('without STCE, STIP is for M-mode to write', s => {
  s.write('menvcfg', 0n).write('mip', STIP).expectCsr('set', 'mip', STIP, { mask: STIP });
  s.write('mip', 0n).expectCsr('cleared', 'mip', 0n, { mask: STIP });
});

suite.define('Counters and timers');
