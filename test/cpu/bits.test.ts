// Instructions that generated programs leave out (test/lockstep/generate.ts says why), and a few edges by name.
import { Suite } from './suite.ts';

const suite = new Suite();

suite.add('Zicond', s => {
  // Zicond specification: the condition is rs2, the value rs1. QEMU 7.2 has no such instructions, so they are behind a
  // trap there: nothing of it is compared.
  const options = { qemuDiffers: 'QEMU 7.2 has no Zicond' };
  const values = [0n, 1n, -1n, 1n << 63n, 0x80000000n, 0x1_0000_0000n];
  for (const value of [7n, -1n, 0n]) {
    for (const condition of values) {
      s.text(`li a1, ${value}\nli a2, ${condition}\nli a0, 99`);
      const zero = condition === 0n;
      s.attempt('M', 'czero.eqz a0, a1, a2').expect(`EQZ ${value} ${condition}`, 'a0', zero ? 0n : value, options);
      s.attempt('M', 'czero.nez a0, a1, a2').expect(`NEZ ${value} ${condition}`, 'a0', zero ? value : 0n, options);
    }
  }
  s.text('li a1, 5').attempt('M', 'czero.eqz a1, a1, a1').expect('one register for all', 'a1', 5n, options);
  s.text('li a1, 5').attempt('M', 'czero.nez a1, a1, a1').expect('one register for all', 'a1', 0n, options);
  s.attempt('M', 'czero.eqz zero, a1, a1').expect('x0', 'zero', 0n);
});

suite.add('CTZW and its like', s => {
  const cases: [string, bigint, bigint][] = [
    ['ctzw', 0n, 32n],
    ['ctzw', 1n << 40n, 32n],
    ['ctzw', 1n << 63n, 32n],
    ['ctzw', 1n << 31n, 31n],
    ['ctzw', 0xffffffff_00000010n, 4n],
    ['clzw', 0n, 32n],
    ['clzw', 0xffffffff_00000000n, 32n],
    ['clzw', 0xffffffff_00000001n, 31n],
    ['cpopw', 0xffffffff_0000000fn, 4n],
    ['ctz', 0n, 64n],
    ['clz', 0n, 64n],
    ['cpop', -1n, 64n],
    ['orc.b', 0x0100_8000_0010_00ffn, 0xff00_ff00_00ff_00ffn],
    ['rev8', 0x0123456789abcdefn, 0xefcdab8967452301n],
  ];
  for (const [name, value, result] of cases) {
    const qemuDiffers = name === 'ctzw' && (value & 0xffffffffn) === 0n ? { qemuDiffers: 'QEMU 7.2 counts on' } : {};
    s.text(`li a1, ${value}\n${name} a0, a1`).expect(`${name} ${value}`, 'a0', result, qemuDiffers);
  }
});

suite.add('division', s => {
  // Unprivileged specification, table "Semantics for division by zero and division overflow".
  const least = -(1n << 63n);
  const cases: [string, bigint, bigint, bigint][] = [
    ['div', 7n, 0n, -1n],
    ['divu', 7n, 0n, -1n],
    ['rem', 7n, 0n, 7n],
    ['remu', 7n, 0n, 7n],
    ['div', least, -1n, least],
    ['rem', least, -1n, 0n],
    ['divw', -0x80000000n, -1n, -0x80000000n],
    ['remw', -0x80000000n, -1n, 0n],
    ['divw', 0x1_0000_0007n, 0n, -1n],
    ['divuw', 0x1_0000_0007n, 0n, -1n],
    ['remw', 0x1_8000_0007n, 0n, -0x7ffffff9n],
    ['remuw', 0x1_8000_0007n, 0n, -0x7ffffff9n],
    ['divuw', 0xffffffffn, 1n, -1n],
    ['div', -7n, 2n, -3n],
    ['rem', -7n, 2n, -1n],
  ];
  for (const [name, a, b, result] of cases) {
    s.text(`li a1, ${a}\nli a2, ${b}\n${name} a0, a1, a2`).expect(`${name} ${a} ${b}`, 'a0', result);
  }
});

suite.add('writes to x0 are lost', s => {
  const names = ['add', 'sub', 'mul', 'div', 'sltu', 'rol', 'sh3add'];
  s.text('li a1, 12345\nli a2, 678');
  for (const name of names) s.text(`${name} zero, a1, a2`).expect(name, 'zero', 0n);
  s.text('lui zero, 0x12345000').expect('lui', 'zero', 0n).text('auipc zero, 0').expect('auipc', 'zero', 0n);
  s.text('jal zero, 4').expect('jal', 'zero', 0n).text('csrrw zero, sscratch, a1').expect('csrrw', 'zero', 0n);
  s.text('fmv.d.x f1, a1\nfmv.x.d zero, f1')
    .expect('fmv.x.d', 'zero', 0n)
    .text('feq.d zero, f1, f1')
    .expect('feq.d', 'zero', 0n);
});

suite.define('Integer edges');
