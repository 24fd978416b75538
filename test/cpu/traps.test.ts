// Traps: privileged specification 3.1.6 to 3.1.9, 3.1.14 to 3.1.17, 3.3 and 4.1.
import { MIE, MPIE, MPP, SIE, SPIE, SPP } from './mstatus.ts';
import type { Mode, Scenario } from './scenario.ts';
import { Suite } from './suite.ts';

const MPRV = 1n << 17n;
const TVM = 1n << 20n;
const TW = 1n << 21n;
const TSR = 1n << 22n;
const MODES: readonly Mode[] = ['U', 'S', 'M'];
const MPP_OF = { U: 0n, S: 1n << 11n, M: 3n << 11n } as const;
/** Exceptions that software may delegate: all but calls from M-mode and causes that are not there. */
const DELEGABLE = 0xb3ffn;

/** Makes one exception; `tval` is what goes to mtval or stval, and `epc` where it happens if not at the first instruction. */
interface Trigger {
  readonly name: string;
  readonly cause: number;
  readonly prepare?: string;
  readonly code: string;
  readonly tval: bigint | 'pc';
  readonly modes: readonly Mode[];
  /** Runs what is at an address. */
  readonly at?: bigint;
  readonly qemuDiffers?: string;
}

const NOWHERE = 0x28000000n;

const TRIGGERS: readonly Trigger[] = [
  { name: 'fetch where nothing is', cause: 1, code: '', at: NOWHERE, tval: NOWHERE, modes: MODES },
  { name: 'illegal word', cause: 2, code: '.word 0xffff877f', tval: 0xffff877fn, modes: MODES },
  {
    name: 'word of ones',
    cause: 2,
    code: '.word 0xffffffff',
    tval: 0xffffffffn,
    modes: MODES,
  },
  { name: 'halfword of zeros', cause: 2, code: '.half 0\nc.addi zero, 0', tval: 0n, modes: MODES },
  { name: 'reserved halfword', cause: 2, code: '.half 0x9c41\nc.addi zero, 0', tval: 0x9c41n, modes: MODES },
  { name: 'EBREAK', cause: 3, code: 'ebreak', tval: 'pc', modes: MODES, qemuDiffers: 'QEMU 7.2 writes zero' },
  {
    name: 'C.EBREAK',
    cause: 3,
    code: 'c.ebreak\nc.addi zero, 0',
    tval: 'pc',
    modes: MODES,
    qemuDiffers: 'QEMU 7.2 writes zero',
  },
  {
    name: 'load where nothing is',
    cause: 5,
    prepare: `li a1, ${NOWHERE}`,
    code: 'ld a0, 8(a1)',
    tval: NOWHERE + 8n,
    modes: MODES,
  },
  {
    name: 'store where nothing is',
    cause: 7,
    prepare: `li a1, ${NOWHERE}`,
    code: 'sd a0, 8(a1)',
    tval: NOWHERE + 8n,
    modes: MODES,
  },
  { name: 'call from U-mode', cause: 8, code: 'ecall', tval: 0n, modes: ['U'] },
  { name: 'call from S-mode', cause: 9, code: 'ecall', tval: 0n, modes: ['S'] },
  { name: 'call from M-mode', cause: 11, code: 'ecall', tval: 0n, modes: ['M'] },
];

const suite = new Suite();

for (const trigger of TRIGGERS) {
  for (const mode of trigger.modes) {
    suite.add(`${trigger.name} in ${mode}-mode goes to M-mode`, s => {
      s.set('mstatus', MIE | SIE).text(trigger.prepare ?? '');
      s.attempt(mode, trigger.code, trigger.at);
      const options = trigger.qemuDiffers === undefined ? {} : { qemuDiffers: trigger.qemuDiffers };
      s.expectSaved('mcause', 'cause', trigger.cause);
      expectPlace(s, trigger, options);
      // MIE was on when the attempt began; the mode that MRET went to is now in MPP.
      s.expectTrapStatus('mstatus', MPP_OF[mode], MPP | MIE);
    });
    if (mode === 'M') continue;
    suite.add(`${trigger.name} in ${mode}-mode goes to S-mode when delegated`, s => {
      s.write('medeleg', DELEGABLE & ~(1n << 9n));
      const handler = s.aside('csrr s2, scause\ncsrr s3, stval\ncsrr s4, sepc\ncsrr s5, sstatus\necall');
      s.write('stvec', handler)
        .set('sstatus', SIE)
        .text(trigger.prepare ?? '')
        .text('li s2, 99');
      s.attempt(mode, trigger.code, trigger.at);
      // What is not delegated (the call from S-mode) comes to M-mode at once.
      s.expectSaved('mcause', 'cause', 9);
      if (trigger.cause === 9) return;
      s.expect('scause', 's2', BigInt(trigger.cause));
      s.expect('sstatus', 's5', SPIE | (mode === 'S' ? SPP : 0n), { mask: SPIE | SPP | SIE });
      const options = trigger.qemuDiffers === undefined ? {} : { qemuDiffers: trigger.qemuDiffers };
      const at = trigger.at ?? s.lastAttempt;
      s.expect('sepc', 's4', at).expect('stval', 's3', trigger.tval === 'pc' ? at : trigger.tval, options);
      s.expectCsr('mcause keeps the call of the handler', 'mcause', 9n);
    });
  }
}

function expectPlace(s: Scenario, trigger: Trigger, options: object): void {
  const at = trigger.at ?? s.lastAttempt;
  s.expectSaved('tval', 'tval', trigger.tval === 'pc' ? at : trigger.tval, options);
  s.expectSaved('epc', 'epc', at);
}

suite.add('exceptions of M-mode are never delegated', s => {
  s.write('medeleg', DELEGABLE).write('stvec', s.aside('li s2, 1\nebreak'));
  s.text('li s2, 0').attempt('M', '.word 0xffff877f').expectTrap('illegal', { cause: 2, tval: 0xffff877fn });
  s.expect('S-mode was not entered', 's2', 0n);
});

suite.add('a trap from S-mode that is not delegated leaves the registers of S-mode alone', s => {
  s.write('sepc', 0x1234n).write('scause', 5n).write('stval', 77n).write('stvec', 0x100n);
  s.attempt('S', '.word 0xffff877f').expectTrap('illegal', { cause: 2 });
  s.expectCsr('sepc', 'sepc', 0x1234n).expectCsr('scause', 'scause', 5n).expectCsr('stval', 'stval', 77n);
});

suite.add('MRET goes through the stack of MIE and MPP', s => {
  for (const mode of MODES) {
    for (const before of [0n, MPIE]) {
      const at = s.fresh('to');
      const after = s.fresh('after');
      // To M-mode with the same interrupts afterwards only if MPIE says so.
      s.text('li t5, 0x1888\ncsrc mstatus, t5').set('mstatus', MPP_OF[mode] | before);
      if (mode === 'M') {
        s.text(`la t5, ${at}\ncsrw mepc, t5\nmret`).text(`${at}: csrr a0, mstatus\ncsrci mstatus, 8\nj ${after}`);
        s.text(`${after}: nop`).expect(`to M, MPIE ${before}`, 'a0', (before ? MIE : 0n) | MPIE, {
          mask: MIE | MPIE | MPP,
        });
      } else {
        // From below the status can only be seen by trapping again: MPIE then holds what MIE was.
        s.attempt(mode, '').expectTrapStatus(`to ${mode}`, MPP_OF[mode], MPP | MIE);
      }
    }
  }
});

suite.add('MRET to a lower mode turns MPRV off, to M-mode it does not', s => {
  const to = s.fresh('to');
  s.set('mstatus', MPRV | MPP)
    .text(`la t5, ${to}\ncsrw mepc, t5\nmret\n${to}: csrr a0, mstatus`)
    .clear('mstatus', MPRV);
  s.expect('to M-mode', 'a0', MPRV, { mask: MPRV });
  const handlerSees = (mode: Mode) => {
    s.set('mstatus', MPRV)
      .attempt(mode, '')
      .expectTrapStatus(`to ${mode}-mode`, 0n, MPRV, { qemuDiffers: 'QEMU 7.2 leaves MPRV on' });
  };
  handlerSees('S');
  handlerSees('U');
});

suite.add('SRET goes through the stack of SIE and SPP', s => {
  for (const [what, spp, spie] of [
    ['to S', SPP, SPIE],
    ['to S, off', SPP, 0n],
    ['to U', 0n, SPIE],
    ['to U, off', 0n, 0n],
  ] as const) {
    const to = s.fresh('to');
    s.clear('mstatus', SIE | SPIE | SPP).set('mstatus', spp | spie);
    s.attempt('S', `la a0, ${to}\ncsrw sepc, a0\nsret\nebreak\n${to}: nop`);
    s.expectSaved(`${what}: mode`, 'cause', spp ? 9 : 8);
    s.expectTrapStatus(`${what}: status`, SPIE | (spie ? SIE : 0n), SIE | SPIE | SPP);
  }
});

suite.add('SRET in M-mode, and MPRV', s => {
  const to = s.fresh('to');
  s.clear('mstatus', SPP).set('mstatus', MPRV | SPP | MPP);
  s.attempt('M', `la a0, ${to}\ncsrw sepc, a0\nli a0, 0x20000\ncsrs mstatus, a0\nsret\n${to}: nop`);
  s.expectDone('is in S-mode', 'S');
  s.expectTrapStatus('MPRV is off', 0n, MPRV, { qemuDiffers: 'QEMU 7.2 leaves MPRV on' });
  s.expectTrapStatus('SPP is U', 0n, SPP);
});

suite.add('who may return', s => {
  s.attempt('U', 'mret').expectTrap('MRET in U', { cause: 2, tval: 0x30200073n });
  s.attempt('S', 'mret').expectTrap('MRET in S', { cause: 2, tval: 0x30200073n });
  s.attempt('U', 'sret').expectTrap('SRET in U', { cause: 2, tval: 0x10200073n });
  s.set('mstatus', TSR).attempt('S', 'sret').expectTrap('SRET with TSR', { cause: 2, tval: 0x10200073n });
  s.clear('mstatus', TSR).write('sepc', 0n);
  s.set('mstatus', TSR | SPP)
    .attempt('M', `la a0, .sret_ok\ncsrw sepc, a0\nsret\n.sret_ok: nop`)
    .expectDone('SRET in M with TSR', 'S');
});

suite.add('TVM', s => {
  s.attempt('S', 'csrr a0, satp\ncsrw satp, a0\nsfence.vma').expectDone('without', 'S');
  s.set('mstatus', TVM);
  s.attempt('S', 'csrr a0, satp').expectTrap('reading satp', { cause: 2, tval: 0x18002573n });
  s.attempt('S', 'csrw satp, a0').expectTrap('writing satp', { cause: 2, tval: 0x18051073n });
  s.attempt('S', 'sfence.vma').expectTrap('SFENCE.VMA', { cause: 2, tval: 0x12000073n });
  s.attempt('M', 'csrr a0, satp\nsfence.vma').expectDone('M-mode may', 'M');
  s.clear('mstatus', TVM).attempt('U', 'sfence.vma').expectTrap('SFENCE.VMA in U', { cause: 2 });
});

suite.add('TW', s => {
  // With an interrupt pending and enabled in mie, WFI ends at once.
  s.write('mie', 2n).write('mip', 2n).write('mideleg', 2n);
  s.attempt('S', 'wfi').expectDone('WFI in S', 'S').write('mip', 0n);
  s.attempt('U', 'wfi').expectTrap('WFI in U', { cause: 2, tval: 0x10500073n });
  s.set('mstatus', TW).attempt('S', 'wfi').expectTrap('WFI in S with TW', { cause: 2, tval: 0x10500073n });
  s.write('mip', 2n);
  s.text('csrci mstatus, 8').attempt('M', 'wfi').expectDone('WFI in M with TW', 'M');
});

suite.add('the vector of exceptions is the base in either mode', s => {
  const handler = s.aside('li s2, 1\necall\nnop\nli s2, 2\necall\nli s2, 3\necall\nli s2, 4\necall', 256);
  s.write('medeleg', 1n << 2n)
    .write('stvec', handler)
    .text('csrsi stvec, 1\nli s2, 0');
  s.attempt('S', '.word 0xffff877f').expectDone('vectored', 'S').expect('entry', 's2', 1n);
});

suite.add('instructions that trap write nothing', s => {
  s.text(`li a0, 5\nli a1, ${NOWHERE}`);
  s.attempt('M', 'lw a0, 0(a1)').expectTrap('load', { cause: 5 }).expect('load', 'a0', 5n);
  s.attempt('M', 'amoadd.w a0, a0, (a1)').expectTrap('AMO', { cause: 7, qemuDiffers: 'QEMU 7.2 reports a load' });
  s.expect('AMO', 'a0', 5n);
  s.attempt('M', 'lr.w a0, (a1)').expectTrap('LR', { cause: 5 }).expect('LR', 'a0', 5n);
  s.attempt('U', 'csrrw a0, mscratch, a0').expectTrap('CSR', { cause: 2 }).expect('CSR', 'a0', 5n);
  s.attempt('M', 'csrrw a0, mhartid, a0').expectTrap('read-only CSR', { cause: 2 }).expect('read-only CSR', 'a0', 5n);
  s.attempt('M', `jalr a0, 0(a1)`)
    .expectSaved('jump', 'epc', NOWHERE)
    .expect('but the jump itself has happened', 'a0', s.after(4));
  s.text(`fmv.d.x f1, a0\nli a0, 1`).attempt('M', 'fld f1, 0(a1)').expectTrap('FP load', { cause: 5 });
});

suite.add('a load to x0 still faults', s => {
  s.text(`li a1, ${NOWHERE}`);
  for (const [code, cause] of [
    ['lw', 5],
    ['lbu', 5],
    ['ld', 5],
  ] as const)
    s.attempt('M', `${code} zero, 0(a1)`).expectTrap(code, { cause, tval: NOWHERE });
});

suite.define('Traps');
