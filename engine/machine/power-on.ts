// Putting a boot plan into a machine: RAM, ROM and the hart's first state.

import { guestPhys, PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Core } from '../core/core.ts';
import type { BootPlan } from '../firmware/boot/plan.ts';
import type { LoadSegment } from '../firmware/loaders/plan.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import { CSR_NUMBERS } from './csr-numbers.ts';
import { RAM_AT } from './platform.ts';

const MODE_S = 1;
const MODE_M = 3;
/** mstatus after reset: S and U are 64 bits wide by construction, everything else is off. */
const MSTATUS_AT_RESET = 0n;
/** mstatus.FS = Initial, as the specification recommends to leave it to a program without firmware below it. */
const MSTATUS_FLOAT_ON = 1n << 13n;
/** menvcfg.ADUE: without firmware that says otherwise, A and D bits are updated by hardware, as on QEMU's `virt`. */
const MENVCFG_AT_RESET = 1n << 61n;
const NO_RESERVATION = 0xffff_ffff_ffff_ffffn;

/** Writes the plan's segments to RAM. Pages that were never written are zero already and are not touched for zeroes. */
export function loadSegments(core: Core, memory: MachineMemory, segments: readonly LoadSegment[]): void {
  for (const segment of segments) {
    if (!memory.write(guestPhys(segment.at), segment.bytes)) refuse(segment);
    const from = segment.at + segment.bytes.length;
    zero(core, memory, from, from + segment.zeroAfter);
  }
}

function zero(core: Core, memory: MachineMemory, from: number, to: number): void {
  for (let at = from; at < to; ) {
    const next = Math.min(to, (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE);
    const page = (at - RAM_AT) / PAGE_SIZE;
    if (core.pageEpoch(Math.floor(page)) !== 0 && !memory.write(guestPhys(at), new Uint8Array(next - at))) {
      throw new AfterimageError('internal', 'Boot plan leaves RAM', { at });
    }
    at = next;
  }
}

function refuse(segment: LoadSegment): never {
  throw new AfterimageError('internal', 'Boot plan leaves RAM', { at: segment.at, length: segment.bytes.length });
}

/** The hart as after reset, and nothing cached. What devices drive into it is not touched. */
export function resetHart(core: Core): void {
  const { layout } = core;
  const pins = core.word64(layout.MIP_PINS);
  core.bytes.fill(0, layout.HART, layout.HART + layout.HART_SIZE);
  core.setWord64(layout.MIP_PINS, pins);
  core.setWord64(layout.RESERVATION, NO_RESERVATION);
  core.setWord64(layout.STIMECMP, 0xffff_ffff_ffff_ffffn);
  core.setWord64(layout.MSTATUS, MSTATUS_AT_RESET);
  core.setWord64(layout.MENVCFG, MENVCFG_AT_RESET);
  core.clearStop();
  core.begin();
}

/** The hart as the plan wants it at its first instruction. Instructions retired go on counting over restarts. */
export function startHart(core: Core, plan: BootPlan): void {
  const { layout } = core;
  const retired = core.instructionsRetired;
  resetHart(core);
  core.setWord64(layout.INSTRET, retired);
  const bare = plan.start.mode === 'machine' && plan.start.pc >= RAM_AT;
  if (bare) core.setWord64(layout.MSTATUS, MSTATUS_FLOAT_ON);
  for (const [name, value] of Object.entries(plan.start.csrs)) {
    const number = CSR_NUMBERS[name];
    if (number === undefined) throw new AfterimageError('internal', `Boot plan names the unknown CSR ${name}`);
    core.writeMachineCsr(number, value);
  }
  core.mode = plan.start.mode === 'supervisor' ? MODE_S : MODE_M;
  core.pc = BigInt(plan.start.pc);
  core.setRegister(10, BigInt(plan.start.a0));
  core.setRegister(11, BigInt(plan.start.a1));
  core.setRegister(12, BigInt(plan.start.a2));
}
