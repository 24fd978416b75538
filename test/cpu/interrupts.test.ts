// Interrupts: privileged specification 3.1.6.1, 3.1.7 to 3.1.9, 3.3.3 (WFI), 4.1.1 to 4.1.3.
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../engine/core/core.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { MIE, MPIE, MPP, SIE, SPIE, SPP } from './mstatus.ts';
import type { Mode, Scenario } from './scenario.ts';
import { Suite } from './suite.ts';

const SSI = 1;
const MSI = 3;
const STI = 5;
const MTI = 7;
const SEI = 9;
const INTERRUPT = 1n << 63n;
const bit = (cause: number) => 1n << BigInt(cause);
const NEVER = 2n ** 64n - 1n;

const MSIP = 0x2000000;
const MTIMECMP = 0x2004000;

const suite = new Suite();

/** Handler of S-mode: what it was called for, then back to M-mode. */
const SUPERVISOR = 'csrr s2, scause\ncsrr s3, sepc\ncsrr s4, stval\ncsrr s5, sstatus\ncsrw sie, zero\necall';

/** Makes exactly these interrupts pending. */
function pend(s: Scenario, causes: readonly number[]): void {
  s.write(
    'mip',
    [SSI, STI, SEI].filter(cause => causes.includes(cause)).reduce((bits, cause) => bits | bit(cause), 0n),
  );
  s.text(`li t5, ${MSIP}\nli t4, ${causes.includes(MSI) ? 1 : 0}\nsw t4, 0(t5)`);
  s.text(`li t5, ${MTIMECMP}\nli t4, ${causes.includes(MTI) ? 0 : NEVER}\nsd t4, 0(t5)`);
  // The CLINT's line need not be there at once.
  const wait = s.fresh('wait');
  const lines = bit(MSI) | bit(MTI);
  const wanted = causes.reduce((bits, cause) => bits | bit(cause), 0n) & lines;
  s.text(`li t4, ${lines}\nli t3, ${wanted}\n${wait}: csrr t5, mip\nand t5, t5, t4\nbne t5, t3, ${wait}`);
}

function quiet(s: Scenario): void {
  s.write('mie', 0n);
  pend(s, []);
}

for (const mode of ['U', 'S', 'M'] as const) {
  suite.add(`in ${mode}-mode those of M-mode ${mode === 'M' ? 'come when MIE is on' : 'always come'}`, s => {
    for (const cause of [SSI, MSI, STI, MTI, SEI]) {
      pend(s, [cause]);
      s.write('mie', bit(cause));
      for (const on of [false, true]) {
        // Turned on inside, so that the trap is certainly there and not on the way.
        const code = mode === 'M' && on ? 'li t0, 8\ncsrs mstatus, t0\nnop' : 'nop';
        s.clear('mstatus', MPIE).attempt(mode, code);
        if (mode === 'M' && !on) s.expectDone(`${cause} with MIE off`, 'M');
        else {
          s.expectSaved(`${cause}: cause`, 'cause', INTERRUPT | BigInt(cause)).expectSaved('tval', 'tval', 0n);
          s.expectSaved('epc', 'epc', mode === 'M' ? s.after(8) : s.lastAttempt);
        }
      }
      s.write('mie', 0n).attempt(mode, 'nop').expectDone(`${cause} that is not in mie`, mode);
      quiet(s);
    }
  });
}

suite.add('delegated ones come to S-mode', s => {
  const handler = s.aside(SUPERVISOR);
  for (const cause of [SSI, STI, SEI]) {
    s.write('stvec', handler).write('mideleg', bit(cause)).write('mie', bit(cause));
    pend(s, [cause]);
    s.clear('mstatus', SIE).attempt('S', 'nop').expectDone(`${cause} in S with SIE off`, 'S');
    s.set('mstatus', SIE).text('li s2, 0').attempt('S', 'nop').expectDone('from the handler', 'S');
    s.expect(`${cause} in S with SIE on`, 's2', INTERRUPT | BigInt(cause))
      .expect('sepc', 's3', s.lastAttempt)
      .expect('stval', 's4', 0n);
    s.expect('status', 's5', SPIE | SPP, { mask: SIE | SPIE | SPP });
    s.write('mie', bit(cause)).clear('mstatus', SIE).text('li s2, 0').attempt('U', 'nop');
    s.expect(`${cause} in U`, 's2', INTERRUPT | BigInt(cause)).expect('status', 's5', 0n, { mask: SIE | SPIE | SPP });
    s.write('mie', bit(cause))
      .attempt('M', 'li t0, 8\ncsrs mstatus, t0\nnop')
      .expectDone(`${cause} in M is held back`, 'M');
    quiet(s);
  }
  s.write('mideleg', 0n);
});

const QEMU_ORDER = { qemuDiffers: 'QEMU 7.2 takes the lowest number' };

suite.add('the order of those that come together', s => {
  // 3.1.9: MEI, MSI, MTI, SEI, SSI, STI.
  const order = [MSI, MTI, SEI, SSI, STI];
  for (const [index, first] of order.entries()) {
    const together = order.slice(index);
    s.write(
      'mie',
      together.reduce((bits, cause) => bits | bit(cause), 0n),
    );
    pend(s, together);
    s.attempt('S', 'nop').expectSaved(`of ${together}`, 'cause', INTERRUPT | BigInt(first), QEMU_ORDER);
    quiet(s);
  }
});

suite.add('the order in S-mode', s => {
  s.write('stvec', s.aside(SUPERVISOR))
    .write('mideleg', bit(SSI) | bit(STI) | bit(SEI))
    .set('mstatus', SIE);
  for (const together of [[SEI, SSI, STI], [SSI, STI], [STI]]) {
    s.write(
      'mie',
      together.reduce((bits, cause) => bits | bit(cause), 0n),
    );
    pend(s, together);
    s.set('mstatus', SIE)
      .attempt('S', 'nop')
      .expect(`of ${together}`, 's2', INTERRUPT | BigInt(together[0]!), QEMU_ORDER);
    quiet(s);
  }
  s.write('mideleg', 0n);
});

suite.add('M-mode comes before what is delegated', s => {
  s.write('stvec', s.aside(SUPERVISOR)).write('mideleg', bit(SEI)).set('mstatus', SIE).text('li s2, 0');
  s.write('mie', bit(SEI) | bit(STI));
  pend(s, [SEI, STI]);
  s.attempt('S', 'nop')
    .expectSaved('STI, not SEI', 'cause', INTERRUPT | BigInt(STI))
    .expect('S-mode was not entered', 's2', 0n);
  quiet(s);
  s.write('mideleg', 0n);
});

suite.add('vectored interrupts', s => {
  const entries = Array.from({ length: 12 }, (_, cause) => `j .vector${cause}`).join('\n');
  const bodies = Array.from({ length: 12 }, (_, cause) => `.vector${cause}: li s6, ${cause}\n${SUPERVISOR}`).join('\n');
  const table = s.aside(`${entries}\n${bodies}`, 256);
  s.write('stvec', table)
    .text('csrsi stvec, 1')
    .write('mideleg', bit(SSI) | bit(STI) | bit(SEI));
  for (const cause of [SSI, STI, SEI]) {
    s.write('mie', bit(cause)).set('mstatus', SIE).text('li s6, 99');
    pend(s, [cause]);
    s.attempt('S', 'nop')
      .expect(`entry of ${cause}`, 's6', BigInt(cause))
      .expect('scause', 's2', INTERRUPT | BigInt(cause));
    quiet(s);
  }
  s.write('medeleg', 1n << 2n)
    .text('li s6, 99')
    .attempt('S', '.word 0xffff877f')
    .expect('exceptions go to the base', 's6', 0n);
  s.write('mideleg', 0n).write('medeleg', 0n);
});

suite.add('vectored interrupts of M-mode', s => {
  const entries = Array.from({ length: 12 }, (_, cause) => `j .mvector${cause}`).join('\n');
  const bodies = Array.from({ length: 12 }, (_, cause) => `.mvector${cause}: li s6, ${cause}\nj .mvectorout`).join(
    '\n',
  );
  const table = s.aside(`${entries}\n${bodies}\n.mvectorout: csrr s2, mcause\ncsrr s3, mstatus\njr s7`, 256);
  s.text('csrr s8, mtvec').write('mtvec', table).text('csrsi mtvec, 1');
  for (const cause of [SSI, MSI, STI, MTI, SEI]) {
    s.write('mie', bit(cause));
    pend(s, [cause]);
    const back = s.fresh('back');
    s.text(`li s6, 99\nla s7, ${back}\ncsrsi mstatus, 8\nnop\nnop\n${back}: csrci mstatus, 8`);
    s.expect(`entry of ${cause}`, 's6', BigInt(cause)).expect('mcause', 's2', INTERRUPT | BigInt(cause));
    s.expect('status', 's3', MPIE | MPP, { mask: MIE | MPIE | MPP });
    quiet(s);
  }
  s.text('csrw mtvec, s8');
});

suite.add('they come as soon as they are let in', s => {
  s.write('stvec', s.aside(SUPERVISOR)).write('mideleg', bit(SSI)).write('mie', bit(SSI));
  const ways: [string, string, number][] = [
    ['writing sip', 'li t0, 2\ncsrs sstatus, t0\ncsrs sip, t0\nnop\nnop', 12],
    ['writing sie', 'li t0, 2\ncsrw sie, zero\ncsrs sip, t0\ncsrs sstatus, t0\ncsrs sie, t0\nnop\nnop', 20],
    ['writing sstatus', 'li t0, 2\ncsrs sip, t0\ncsrs sstatus, t0\nnop\nnop', 12],
    ['writing sstatus with an immediate', 'li t0, 2\ncsrs sip, t0\ncsrrsi zero, sstatus, 2\nnop\nnop', 12],
  ];
  for (const [what, code, at] of ways) {
    s.clear('mstatus', SIE).write('mie', bit(SSI)).write('mip', 0n).text('li s2, 0').attempt('S', code);
    s.expect(what, 's2', INTERRUPT | BigInt(SSI)).expect('place', 's3', s.after(at));
  }
  // SRET that turns them on is followed by no instruction.
  const to = s.fresh('to');
  s.clear('mstatus', SIE)
    .set('mstatus', SPIE | SPP)
    .write('mie', bit(SSI))
    .write('mip', bit(SSI))
    .text('li s2, 0\nli s6, 0');
  s.attempt('S', `la t0, ${to}\ncsrw sepc, t0\nsret\n${to}: li s6, 1`);
  s.expect('SRET', 's2', INTERRUPT | BigInt(SSI))
    .expect('place', 's3', to)
    .expect('nothing between', 's6', 0n);
  s.write('mip', 0n).write('mideleg', 0n);
});

suite.add('in a loop without end', s => {
  // The timer of M-mode, some time from now, against a loop of jumps, of branches, and of calls through a register.
  const loops = ['j .endless0\n', 'beq zero, zero, .endless1\n', 'addi s6, s6, 1\njalr zero, 0(s7)\n'];
  for (const [index, loop] of loops.entries()) {
    s.text(`li t5, 0x200bff8\nld t4, 0(t5)\naddi t4, t4, 200\nli t5, ${MTIMECMP}\nsd t4, 0(t5)`).write('mie', bit(MTI));
    s.attempt('S', `la s7, .endless${index}\n.endless${index}: ${loop}`).expectSaved(
      `loop ${index}`,
      'cause',
      INTERRUPT | BigInt(MTI),
    );
    quiet(s);
  }
});

/** Our clock counts instructions; a slow host lets QEMU's run out before the WFI. */
const REAL_TIME = { qemuDiffers: 'its clock is that of the host' };

suite.add('WFI waits for the timer', s => {
  for (const mode of ['S', 'M'] as Mode[]) {
    s.text(`li t5, 0x200bff8\nld s6, 0(t5)\naddi s6, s6, 500\nli t5, ${MTIMECMP}\nsd s6, 0(t5)`).write('mie', bit(MTI));
    if (mode === 'S') {
      s.attempt('S', 'wfi\nnop')
        .expectSaved('from S-mode', 'cause', INTERRUPT | BigInt(MTI))
        .expectSaved('behind the WFI', 'epc', s.after(4), REAL_TIME);
    } else {
      // With MIE off it ends without a trap.
      s.clear('mstatus', MPIE).attempt('M', 'wfi').expectDone('from M-mode, interrupts off', 'M');
    }
    s.text('li t5, 0x200bff8\nld s7, 0(t5)\nsltu s7, s7, s6').expect('not before its time', 's7', 0n);
    quiet(s);
  }
});

suite.add('the timer of S-mode', s => {
  const STCE = 1n << 63n;
  s.write('stvec', s.aside(SUPERVISOR)).write('mideleg', bit(STI)).write('mie', bit(STI)).write('menvcfg', STCE);
  s.write('mcounteren', 2n).set('mstatus', SIE).text('li s2, 0');
  s.attempt('S', 'csrr s6, time\naddi s6, s6, 300\ncsrw stimecmp, s6\nwfi\nnop');
  s.expect('cause', 's2', INTERRUPT | BigInt(STI)).expect('behind the WFI', 's3', s.after(16), REAL_TIME);
  s.text('csrr s7, time\nsltu s7, s7, s6').expect('not before its time', 's7', 0n);
  s.write('mie', bit(STI)).set('mstatus', SIE).text('li s2, 0');
  s.attempt('S', 'csrr s6, time\naddi s6, s6, 300\ncsrw stimecmp, s6\n.sstc: j .sstc').expect(
    'against a loop',
    's2',
    INTERRUPT | BigInt(STI),
  );
  s.write('stimecmp', NEVER).write('menvcfg', 0n).write('mideleg', 0n);
});

suite.add('the timer of S-mode is not made pending by software', s => {
  s.write('menvcfg', 1n << 63n)
    .write('stimecmp', NEVER)
    .write('mie', bit(STI))
    .text(`li t5, ${bit(STI)}\ncsrs mip, t5`);
  s.attempt('S', 'nop').expectDone('nothing comes', 'S').write('menvcfg', 0n);
});

suite.define('Interrupts');

describe('The line of the external interrupt', () => {
  /** Runs code with the line up, then takes the line down; a0, a1, a2 and what is pending in the end. */
  async function withLine(code: string): Promise<{ seen: bigint[]; left: bigint }> {
    const a = new Assembler(RAM_BASE).text(`${code}\nli t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nhang: j hang`);
    const machine = new BareMachine(await coreModule(), 2 << 20);
    machine.load(a.build());
    machine.core.setPin(SEI, true);
    expect(machine.run(1000)).toEqual({ finisher: 0x5555 });
    machine.core.setPin(SEI, false);
    return { seen: [10, 11, 12].map(register => machine.core.register(register)), left: machine.core.pending };
  }

  it('does not become a bit of software when mip is read and written', async () => {
    const { seen, left } = await withLine('csrsi mip, 2\ncsrr a0, mip\ncsrrci a1, mip, 2\ncsrr a2, mip');
    expect(seen).toEqual([bit(SEI) | bit(SSI), bit(SEI) | bit(SSI), bit(SEI)]);
    expect(left).toBe(0n);
  });

  it('is one of two reasons for SEIP', async () => {
    const { seen, left } = await withLine(
      `csrw mip, zero\ncsrr a0, mip\nli a1, ${bit(SEI)}\ncsrs mip, a1\ncsrr a2, mip`,
    );
    expect(seen).toEqual([bit(SEI), bit(SEI), bit(SEI)]);
    expect(left).toBe(bit(SEI));
  });
});
