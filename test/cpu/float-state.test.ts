// The state of the floating-point unit in mstatus.FS: privileged specification 3.1.6.6; rounding modes: unprivileged 11.2.
import { Suite } from './suite.ts';

const FS = 3n << 13n;
const OFF = 0n;
const INITIAL = 1n << 13n;
const CLEAN = 2n << 13n;
const DIRTY = 3n << 13n;

const suite = new Suite();

const INSTRUCTIONS = [
  'fadd.d f1, f2, f3',
  'fmadd.s f1, f2, f3, f4',
  'fsqrt.d f1, f2',
  'fsgnj.d f1, f2, f3',
  'fmin.s f1, f2, f3',
  'fcvt.d.w f1, a0',
  'fcvt.w.d a0, f1',
  'feq.d a0, f1, f2',
  'fclass.s a0, f1',
  'fmv.x.d a0, f1',
  'fmv.w.x f1, a0',
  'fld f1, 0(a1)',
  'flw f1, 0(a1)',
  'fsd f1, 0(a1)',
  'fsw f1, 0(a1)',
  'c.fld f8, a1, 0\nc.nop',
  'c.fsd a1, f8, 0\nc.nop',
  'csrr a0, fflags',
  'csrw fflags, a0',
  'csrr a0, frm',
  'csrw frm, a0',
  'csrr a0, fcsr',
  'csrw fcsr, a0',
  'csrrwi zero, fcsr, 31',
  'csrrsi a0, fflags, 31',
  'csrrci a0, fcsr, 31',
];

suite.add('everything about it is illegal while it is off', s => {
  const data = s.pages(1);
  s.put(data, 0x1122334455667788n).write('fcsr', 0x55n).text(`li a1, ${data}\nli a0, 0x2a`);
  s.text(`li t0, 0x7777777777777777\nfmv.d.x f1, t0\nfmv.d.x f8, t0`);
  for (const text of INSTRUCTIONS) {
    const source = text.replace('c.nop', 'c.addi zero, 0').replace('f8, a1, 0', 'f8, a1, 0');
    s.write('mstatus', OFF)
      .attempt('M', source)
      .expectSaved(`${text}: cause`, 'cause', 2)
      .expectSaved('epc', 'epc', s.lastAttempt);
    s.expect('integer register', 'a0', 0x2an).expectMemory('memory', data, 0x1122334455667788n);
    s.write('mstatus', DIRTY).expect(`${text}: f1`, 'f1', 0x7777777777777777n).expectCsr('fcsr', 'fcsr', 0x55n);
  }
});

suite.add('what changes it makes it dirty', s => {
  const data = s.pages(1);
  s.text(`li a1, ${data}\nli a0, 3`);
  const changes = INSTRUCTIONS.filter(text => !/fs[dw] |csrr a0|^f(mv\.x|class|cvt\.w|eq)|c\.fsd/.test(text));
  for (const text of changes) {
    for (const state of [INITIAL, CLEAN]) {
      s.write('mstatus', state).attempt('M', text.replace('c.nop', 'c.addi zero, 0')).expectDone(text, 'M');
      s.expectTrapStatus(`${text} from ${state}`, DIRTY | (1n << 63n), FS | (1n << 63n));
    }
  }
});

suite.add('reading fcsr does not change it', s => {
  for (const state of [INITIAL, CLEAN, DIRTY]) {
    s.write('mstatus', state)
      .attempt('M', 'csrr a0, fcsr\ncsrr a0, frm\ncsrrsi a0, fflags, 0')
      .expectTrapStatus('state', state, FS);
  }
});

suite.add('flags that are raised make it dirty too', s => {
  // 1 / 3 is inexact; the comparison of a signaling NaN invalid.
  s.text(
    'li a0, 1\nli a1, 3\nfcvt.d.w f1, a0\nfcvt.d.w f2, a1\nli a2, 0x7ff0000000000001\nfmv.d.x f3, a2\nfmv.d.x f4, zero',
  );
  for (const [text, flags] of [
    ['fdiv.d f5, f1, f2', 1n],
    ['feq.d a0, f3, f1', 16n],
    ['fcvt.w.d a0, f3', 16n],
    ['fdiv.d f5, f1, f4', 8n],
  ] as const) {
    const options = text.includes(' a0') ? { qemuDiffers: 'QEMU 7.2 leaves FS as it was' } : {};
    s.write('fcsr', 0n)
      .write('mstatus', CLEAN)
      .attempt('M', text)
      .expectTrapStatus(text, DIRTY, FS, options)
      .expectCsr(`${text}: flags`, 'fflags', flags);
  }
});

suite.add('S-mode sees and sets it in sstatus', s => {
  s.write('mstatus', OFF).attempt(
    'S',
    'csrr a0, sstatus\nli a1, 0x2000\ncsrs sstatus, a1\ncsrr a2, sstatus\nfmv.d.x f1, a0\ncsrr a3, sstatus',
  );
  s.expect('off', 'a0', OFF, { mask: FS }).expect('initial', 'a2', INITIAL, { mask: FS | (1n << 63n) });
  s.expect('dirty', 'a3', DIRTY | (1n << 63n), { mask: FS | (1n << 63n) });
  s.write('mstatus', OFF).attempt('U', 'fmv.d.x f1, a0').expectTrap('U-mode', { cause: 2, tval: 0xf20500d3n });
});

suite.add('rounding modes that do not exist', s => {
  for (const rm of ['rm5', 'rm6']) s.attempt('M', `fadd.d f1, f2, f3, ${rm}`).expectTrap(rm, { cause: 2 });
  for (const frm of [5, 6, 7]) {
    s.write('frm', frm);
    s.attempt('M', 'fadd.d f1, f2, f3').expectTrap(`dynamic ${frm}`, { cause: 2, tval: 0x023170d3n });
    s.attempt('M', 'fmadd.s f1, f2, f3, f4').expectTrap(`dynamic ${frm}, fused`, { cause: 2 });
    s.attempt('M', 'fcvt.l.d a0, f1').expectTrap(`dynamic ${frm}, conversion`, { cause: 2 });
    s.attempt('M', 'fadd.d f1, f2, f3, rne').expectDone(`static with ${frm}`, 'M');
    s.attempt('M', 'fsgnj.d f1, f2, f3\nfmv.x.d a0, f1\nfeq.d a0, f1, f1\nfclass.d a0, f1\nfmin.d f1, f1, f2');
    s.expectDone(`no rounding with ${frm}`, 'M');
  }
  s.write('frm', 0n);
});

suite.define('The floating-point unit');
