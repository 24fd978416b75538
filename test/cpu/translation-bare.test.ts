// Physical addresses: privileged specification 3.6, 4.1.11.
import { RAM_BASE } from '../../engine/core/core.ts';
import { Suite } from './suite.ts';

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
    .expectSaved('load', 'cause', 5, { qemuDiffers })
    .expectSaved('tval', 'tval', 0x10000001, { qemuDiffers });
  s.attempt('M', 'sw a0, 2(a1)')
    .expectSaved('store', 'cause', 7, { qemuDiffers })
    .expectSaved('tval', 'tval', 0x10000002, { qemuDiffers });
});

suite.define('Without translation');
