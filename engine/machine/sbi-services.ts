import { guestPhys } from '../base/addresses.ts';
import type { Core } from '../core/core.ts';
import type { ConsolePort } from '../devices/console-port.ts';
import type { Uart } from '../devices/uart/device.ts';
import type { ResetRequest, SbiServices } from '../firmware/sbi/services.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';

export interface SbiSurroundings {
  readonly core: Core;
  readonly memory: MachineMemory;
  readonly console: ConsolePort;
  /** Shares the console: its buffered output goes out before what the SBI prints. */
  readonly uart: Uart;
  readonly reset: (request: ResetRequest) => void;
}

const SSIP = 2n;
const CSR_MIP = 0x344;
const CSR_SATP = 0x180;
const CSR_STIMECMP = 0x14d;
const STATUS_SIE = 2n;

/** What the built-in SBI needs, done with the one hart that there is. */
export function sbiServices(around: SbiSurroundings): SbiServices {
  const { core, memory, uart } = around;
  return {
    identity: { mvendorid: 0n, marchid: 0n, mimpid: 0n },
    memory: {
      contains: (at, length) => memory.contains(at, length),
      read: (at, into) => memory.read(guestPhys(at), into),
      write: (at, from) => memory.write(guestPhys(at), from),
    },
    console: {
      write: bytes => {
        uart.poll();
        return uart.pendingOutput > 0 ? 0 : around.console.write(bytes);
      },
      read: into => around.console.read(into),
    },
    setTimer: (_hart, ticks) => core.writeMachineCsr(CSR_STIMECMP, ticks),
    sendInterrupt: () => {
      // What devices drive at this moment must not become a bit that nobody clears.
      const software = core.readMachineCsr(CSR_MIP) & ~core.word64(core.layout.MIP_PINS);
      core.writeMachineCsr(CSR_MIP, software | SSIP);
    },
    fence: (_harts, fence) => {
      if (fence.kind === 'instructions') core.dropStaleCode();
      else core.flushTranslations();
    },
    startHart: (hart, at, opaque) => {
      core.writeMachineCsr(CSR_SATP, 0n);
      core.setWord64(core.layout.MSTATUS, core.word64(core.layout.MSTATUS) & ~STATUS_SIE);
      core.setRegister(10, BigInt(hart));
      core.setRegister(11, opaque);
      core.mode = 1;
      core.pc = BigInt(at);
    },
    // The only hart: nothing runs any more, and nobody is left to start it.
    stopHart: () => around.reset({ type: 'shutdown', failure: false }),
    reset: around.reset,
  };
}
