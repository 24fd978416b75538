// The devices of the machine on its bus: as after power-on, or as they were saved.
import { Bus } from '../devices/bus/device.ts';
import { Clint } from '../devices/clint/device.ts';
import { clintSection } from '../devices/clint/state.ts';
import type { TimeSource } from '../devices/clocks.ts';
import type { GuestErrors } from '../devices/device.ts';
import type { HartPins } from '../devices/hart-pins.ts';
import { Plic } from '../devices/plic/device.ts';
import { plicSection } from '../devices/plic/state.ts';
import { Rtc } from '../devices/rtc/device.ts';
import { rtcSection } from '../devices/rtc/state.ts';
import { type Outcome, Syscon } from '../devices/syscon/device.ts';
import { Uart } from '../devices/uart/device.ts';
import { uartSection } from '../devices/uart/state.ts';
import { VirtioBlock } from '../devices/virtio/block/device.ts';
import { blockSection } from '../devices/virtio/block/state.ts';
import { VirtioConsole } from '../devices/virtio/console/device.ts';
import { consoleSection } from '../devices/virtio/console/state.ts';
import { VirtioRng } from '../devices/virtio/rng/device.ts';
import { rngSection } from '../devices/virtio/rng/state.ts';
import { EmptySlot } from '../devices/virtio/transport/empty-slot.ts';
import { GenerationId } from '../devices/vmgenid/device.ts';
import { GENERATION_BYTES, generationSection } from '../devices/vmgenid/state.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { Section } from '../state/section.ts';
import type { StateTreeReader } from '../state/tree.ts';
import type { CapturedState } from './captured-state.ts';
import type { MachineParts } from './parts.ts';
import { GENERATION_IRQ, RTC_IRQ, UART_IRQ, VIRTIO_SLOTS, virtioSlot, WINDOWS } from './platform.ts';
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
  readonly generation: GenerationId;
  readonly rng: VirtioRng;
  readonly virtioConsole: VirtioConsole | undefined;
  readonly disks: readonly VirtioBlock[];
}

/**
 * Builds and maps all devices: disks first, so that the guest names them in order, then console and random numbers.
 *
 * @param saved where the devices' state comes from; without it they are as after power-on
 * @throws AfterimageError when the saved state is not that of these devices
 */
export function buildDevices(parts: MachineParts, around: DeviceSurroundings, saved?: StateTreeReader): Devices {
  const { memory, hart, time, errors } = around;
  const make = <S, D>(name: string, section: Section<S>, fresh: () => D, restore: (state: S) => D): D =>
    saved === undefined ? fresh() : restore(saved.take(pathOf(name), section));

  const plicParts = { harts: [hart] };
  const plic = make(
    'plic',
    plicSection,
    () => new Plic(plicParts),
    state => Plic.restore(plicParts, state),
  );
  const clintParts = { time, harts: [hart] };
  const clint = make(
    'clint',
    clintSection,
    () => new Clint(clintParts),
    state => Clint.restore(clintParts, state),
  );
  const uartParts = { irq: plic.line(UART_IRQ), port: parts.console, errors };
  const uart = make(
    'uart0',
    uartSection,
    () => new Uart(uartParts),
    state => Uart.restore(uartParts, state),
  );
  const rtcParts = { clock: parts.wallClock, irq: plic.line(RTC_IRQ) };
  const rtc = make(
    'rtc',
    rtcSection,
    () => new Rtc(rtcParts),
    state => Rtc.restore(rtcParts, state),
  );
  const generationParts = { irq: plic.line(GENERATION_IRQ) };
  const generation = make(
    'vmgenid',
    generationSection,
    () => new GenerationId(generationParts, parts.generation ?? randomGeneration(parts)),
    state => GenerationId.restore(generationParts, state),
  );
  if (saved !== undefined && parts.generation !== undefined) generation.renew(parts.generation);

  const virtio = (name: string, slot: number) => ({ name, memory, errors, irq: plic.line(virtioSlot(slot).irq) });
  const disks = parts.disks.map((backend, index) => {
    const name = `disk${index}`;
    const own = { ...virtio(name, index), backend, serial: `afterimage-${name}` };
    return make(
      name,
      blockSection,
      () => new VirtioBlock(own),
      state => VirtioBlock.restore(own, state),
    );
  });
  const consoleSlot = VIRTIO_SLOTS - 2;
  const rngSlot = VIRTIO_SLOTS - 1;
  const port = parts.virtioConsole;
  const consoleParts = port && { ...virtio('console0', consoleSlot), port };
  const virtioConsole =
    consoleParts &&
    make(
      'console0',
      consoleSection,
      () => new VirtioConsole(consoleParts),
      state => VirtioConsole.restore(consoleParts, state),
    );
  const rngParts = { ...virtio('rng0', rngSlot), entropy: parts.entropy };
  const rng = make(
    'rng0',
    rngSection,
    () => new VirtioRng(rngParts),
    state => VirtioRng.restore(rngParts, state),
  );

  const rom = new Rom();
  const bus = new Bus();
  bus.map(WINDOWS.rom.at, WINDOWS.rom.size, rom);
  bus.map(WINDOWS.syscon.at, WINDOWS.syscon.size, new Syscon({ finish: around.finish }));
  bus.map(WINDOWS.rtc.at, WINDOWS.rtc.size, rtc);
  bus.map(WINDOWS.generation.at, WINDOWS.generation.size, generation);
  bus.map(WINDOWS.clint.at, WINDOWS.clint.size, clint);
  bus.map(WINDOWS.plic.at, WINDOWS.plic.size, plic);
  bus.map(WINDOWS.uart.at, WINDOWS.uart.size, uart);
  for (let slot = 0; slot < VIRTIO_SLOTS; slot += 1) {
    const { at, size } = virtioSlot(slot);
    const own = slot === rngSlot ? rng : slot === consoleSlot ? virtioConsole : disks[slot];
    bus.map(at, size, own ?? new EmptySlot(`virtio${slot}`));
  }
  return { bus, rom, clint, plic, uart, rtc, generation, rng, virtioConsole, disks };
}

function randomGeneration({ entropy }: MachineParts): Uint8Array {
  const generation = new Uint8Array(GENERATION_BYTES);
  entropy(generation);
  return generation;
}

const pathOf = (name: string) => `machine/${name}`;

/** Copies the state of all devices; changes none. */
export function saveDevices(devices: Devices, into: CapturedState): void {
  into.put(pathOf('plic'), plicSection, devices.plic.save());
  into.put(pathOf('clint'), clintSection, devices.clint.save());
  into.put(pathOf('uart0'), uartSection, devices.uart.save());
  into.put(pathOf('rtc'), rtcSection, devices.rtc.save());
  into.put(pathOf('vmgenid'), generationSection, devices.generation.save());
  for (const disk of devices.disks) into.putLater(pathOf(disk.name), blockSection, disk.capture());
  if (devices.virtioConsole) into.put(pathOf('console0'), consoleSection, devices.virtioConsole.save());
  into.put(pathOf('rng0'), rngSection, devices.rng.save());
}
