import { expect, it } from 'vitest';
import { RAM_BASE } from '../../engine/core/core.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { encode } from '../framework/encode.ts';

/** The most that a machine may have. */
const RAM_BYTES = 3 * 2 ** 30;
const END = RAM_BASE + RAM_BYTES;

it('the last bytes of 3 GiB of memory are loaded, stored, executed, and end', async () => {
  const machine = new BareMachine(await coreModule(), RAM_BYTES);
  const a = new Assembler(RAM_BASE);
  const code = BigInt(encode('addi', { rd: 10, rs1: 10, imm: 7 })) | (BigInt(encode('jalr', { rs1: 1 })) << 32n);
  a.text(`
    la t0, handler
    csrw mtvec, t0
    li s0, ${END}
    # Code in the last eight bytes.
    li t0, ${code}
    sd t0, -8(s0)
    fence.i
    li a0, 0
    jalr ra, -8(s0)
    ld a1, -8(s0)
    # Across the last page boundary, and atomically.
    li t0, ${END - 4096}
    li t1, 0x1122334455667788
    sd t1, -3(t0)
    ld a2, -3(t0)
    addi t1, s0, -16
    li t2, 41
    sd t2, 0(t1)
    li t2, 1
    amoadd.d a3, t2, (t1)
    lr.d a4, (t1)
    sc.d a5, t2, (t1)
    # Past the end.
    li s2, 0
    ld a6, -4(s0)
    mv s3, s2
    li s2, 0
    sd a6, -1(s0)
    mv s4, s2
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  hang: j hang
  .align 4
  handler:
    csrr s2, mtval
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    mret
  `);
  machine.load(a.build());
  expect(machine.run(10_000)).toEqual({ finisher: 0x5555 });
  const register = (index: number) => machine.core.register(index);
  expect(register(10)).toBe(7n);
  expect(register(11)).toBe(code);
  expect(register(12)).toBe(0x1122334455667788n);
  expect(register(13)).toBe(41n);
  expect(register(14)).toBe(42n);
  expect(register(15)).toBe(0n);
  expect(register(19)).toBe(BigInt(END));
  expect(register(20)).toBe(BigInt(END));
});
