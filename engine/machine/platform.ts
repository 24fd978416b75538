// The machine's address map: that of QEMU's `virt` (hw/riscv/virt.c), so that kernels and firmware built for it run
// unmodified.
import { EXTENSIONS } from '../core/isa.ts';
import type { MachineDescription } from '../firmware/device-tree.ts';

export const RAM_AT = 0x8000_0000;
/** The machine's time: mtime, `time` and stimecmp count ticks of 100 ns. */
export const TICKS_PER_SECOND = 10_000_000;
export const TICKS_PER_MILLISECOND = TICKS_PER_SECOND / 1000;

export const WINDOWS = {
  rom: { at: 0x1000, size: 0xf000 },
  syscon: { at: 0x10_0000, size: 0x1000 },
  rtc: { at: 0x10_1000, size: 0x1000 },
  // Not on QEMU's `virt`, which has no such device; nothing else is here.
  generation: { at: 0x10_2000, size: 0x1000 },
  clint: { at: 0x200_0000, size: 0x1_0000 },
  plic: { at: 0xc00_0000, size: 0x60_0000 },
  uart: { at: 0x1000_0000, size: 0x100 },
} as const;

export const PLIC_SOURCES = 95;
export const UART_IRQ = 10;
export const RTC_IRQ = 11;
export const GENERATION_IRQ = 12;

export const VIRTIO_SLOTS = 8;
const VIRTIO_AT = 0x1000_1000;
const VIRTIO_SIZE = 0x1000;

/** Window and interrupt of a virtio-mmio slot, 0 to 7. */
export function virtioSlot(index: number): { at: number; size: number; irq: number } {
  return { at: VIRTIO_AT + index * VIRTIO_SIZE, size: VIRTIO_SIZE, irq: 1 + index };
}

/** What the device tree says of a machine with so many bytes of RAM: exactly what is implemented. */
export function describePlatform(ram: number): MachineDescription {
  return {
    memory: { at: RAM_AT, size: ram },
    timebaseFrequency: TICKS_PER_SECOND,
    harts: 1,
    extensions: EXTENSIONS,
    translation: 'sv48',
    clint: WINDOWS.clint,
    plic: { ...WINDOWS.plic, sources: PLIC_SOURCES },
    // `r`: hardware flow control from the first byte on, so that a guest's console never drops pasted input.
    serial: { ...WINDOWS.uart, irq: UART_IRQ, clock: 3_686_400, settings: '115200n8r' },
    rtc: { ...WINDOWS.rtc, irq: RTC_IRQ },
    generation: { ...WINDOWS.generation, irq: GENERATION_IRQ },
    test: { ...WINDOWS.syscon, powerOff: 0x5555, restart: 0x7777 },
    virtio: Array.from({ length: VIRTIO_SLOTS }, (_, index) => virtioSlot(index)),
  };
}
