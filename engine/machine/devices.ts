// The devices of the machine on its bus.
import { Bus } from '../devices/bus/device.ts';
import { Clint } from '../devices/clint/device.ts';
import type { TimeSource } from '../devices/clocks.ts';
import type { GuestErrors } from '../devices/device.ts';
import type { HartPins } from '../devices/hart-pins.ts';
import { Plic } from '../devices/plic/device.ts';
import { Rtc } from '../devices/rtc/device.ts';
import { type Outcome, Syscon } from '../devices/syscon/device.ts';
import { Uart } from '../devices/uart/device.ts';
import { VirtioBlock } from '../devices/virtio/block/device.ts';
import { VirtioConsole } from '../devices/virtio/console/device.ts';
import { VirtioRng } from '../devices/virtio/rng/device.ts';
import { EmptySlot } from '../devices/virtio/transport/empty-slot.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { MachineParts } from './parts.ts';
import { RTC_IRQ, UART_IRQ, VIRTIO_SLOTS, virtioSlot, WINDOWS } from './platform.ts';
import { Rom } from './rom.ts';

export interface DeviceSurroundings {
  readonly memory: GuestMemory;
  readonly hart: HartPins;
  readonly time: TimeSource;
  readonly errors: GuestErrors;
  readonly finish: (outcome: Outcome) => void;
}

export interface Devices {
  readonly bus: Bus;
  readonly rom: Rom;
  readonly clint: Clint;
  readonly plic: Plic;
  readonly uart: Uart;
  readonly rtc: Rtc;
  readonly virtioConsole: VirtioConsole | undefined;
  readonly disks: readonly VirtioBlock[];
}

/** Builds and maps all devices: disks first, so that the guest names them in order, then console and random numbers. */
export function buildDevices(parts: MachineParts, around: DeviceSurroundings): Devices {
  const { memory, hart, time, errors } = around;
  const bus = new Bus();
  const plic = new Plic({ harts: [hart] });
  const clint = new Clint({ time, harts: [hart] });
  const rom = new Rom();
  const uart = new Uart({ irq: plic.line(UART_IRQ), port: parts.console, errors });
  const rtc = new Rtc({ clock: parts.wallClock, irq: plic.line(RTC_IRQ) });
  bus.map(WINDOWS.rom.at, WINDOWS.rom.size, rom);
  bus.map(WINDOWS.syscon.at, WINDOWS.syscon.size, new Syscon({ finish: around.finish }));
  bus.map(WINDOWS.rtc.at, WINDOWS.rtc.size, rtc);
  bus.map(WINDOWS.clint.at, WINDOWS.clint.size, clint);
  bus.map(WINDOWS.plic.at, WINDOWS.plic.size, plic);
  bus.map(WINDOWS.uart.at, WINDOWS.uart.size, uart);

  const virtio = (name: string, slot: number) => ({ name, memory, errors, irq: plic.line(virtioSlot(slot).irq) });
  const disks = parts.disks.map((backend, index) => {
    const name = `disk${index}`;
    return new VirtioBlock({ ...virtio(name, index), backend, serial: `afterimage-${name}` });
  });
  const consolePort = parts.virtioConsole;
  const consoleSlot = VIRTIO_SLOTS - 2;
  const rngSlot = VIRTIO_SLOTS - 1;
  const virtioConsole = consolePort && new VirtioConsole({ ...virtio('console0', consoleSlot), port: consolePort });
  const rng = new VirtioRng({ ...virtio('rng0', rngSlot), entropy: parts.entropy });
  for (let slot = 0; slot < VIRTIO_SLOTS; slot += 1) {
    const { at, size } = virtioSlot(slot);
    const own = slot === rngSlot ? rng : slot === consoleSlot ? virtioConsole : disks[slot];
    bus.map(at, size, own ?? new EmptySlot(`virtio${slot}`));
  }
  return { bus, rom, clint, plic, uart, rtc, virtioConsole, disks };
}
