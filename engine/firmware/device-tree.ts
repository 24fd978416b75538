// The device tree of the machine, compatible with that of QEMU's `virt` (hw/riscv/virt.c): what a guest is told is
// exactly what the description lists, nothing more.

import { AfterimageError } from '../base/errors.ts';
import { TreeNode } from './fdt/tree.ts';
import { writeFdt } from './fdt/write.ts';
import { canonicalExtensions, isaString } from './isa-string.ts';

/** Guest-physical bytes `[at, at + size)`. */
export interface Window {
  readonly at: number;
  readonly size: number;
}

/** A device that interrupts through the PLIC. */
export interface InterruptingWindow extends Window {
  readonly irq: number;
}

/** What the machine consists of. Plain data. */
export interface MachineDescription {
  readonly memory: Window;
  /** Ticks of `time` per second. */
  readonly timebaseFrequency: number;
  /** Number of harts, ids from 0. */
  readonly harts: number;
  /** Extensions that the harts implement, in any order, lower case: `['i', 'm', 'zicsr', 'sstc', ...]`. */
  readonly extensions: readonly string[];
  /** The largest address translation that the harts implement. */
  readonly translation: 'sv39' | 'sv48';
  readonly clint?: Window;
  readonly plic?: Window & { readonly sources: number };
  /** `settings` are the console's, as in the kernel's `console=`: `115200n8r`. `clock` is in Hz. */
  readonly serial?: InterruptingWindow & { readonly clock: number; readonly settings: string };
  readonly rtc?: InterruptingWindow;
  /** Its change tells the guest that it was restored (`microsoft,vmgenid`). */
  readonly generation?: InterruptingWindow;
  /** The values that are written to its first register to power off and to restart. */
  readonly test?: Window & { readonly powerOff: number; readonly restart: number };
  /** In the order in which the guest is to find them: Linux names disks in this order. */
  readonly virtio: readonly InterruptingWindow[];
}

/** What differs from one start to the next. */
export interface BootDescription {
  readonly commandLine?: string;
  /** Where the initial RAM disk lies. */
  readonly initrd?: Window;
  /** At least 32 fresh random bytes: credited by Linux as entropy, so never the same twice. */
  readonly rngSeed: Uint8Array;
  /** 8 fresh random bytes that decide where Linux puts itself in virtual memory. */
  readonly kaslrSeed: Uint8Array;
}

/** The least that Linux credits as a full seed of its generator (256 bits). */
const LEAST_RNG_SEED = 32;
const KASLR_SEED = 8;

// Local interrupts of a hart: numbers of the privileged specification's mcause.
const SUPERVISOR_EXTERNAL = 9;
const MACHINE_SOFTWARE = 3;
const MACHINE_TIMER = 7;
const MACHINE_EXTERNAL = 11;

export function describeMachine(machine: MachineDescription, boot: BootDescription): Uint8Array {
  if (boot.rngSeed.length < LEAST_RNG_SEED || boot.kaslrSeed.length !== KASLR_SEED) {
    throw new AfterimageError('internal', 'Random seeds of the device tree have the wrong length', {
      rngSeed: boot.rngSeed.length,
      kaslrSeed: boot.kaslrSeed.length,
    });
  }
  const root = TreeNode.root()
    .cells('#address-cells', 2)
    .cells('#size-cells', 2)
    .texts('compatible', 'riscv-virtio')
    .texts('model', 'afterimage,virt');
  addChosen(root, machine, boot);
  root
    .child(unitName('memory', machine.memory))
    .texts('device_type', 'memory')
    .wide('reg', machine.memory.at, machine.memory.size);
  const interruptControllers = addHarts(root, machine);
  addDevices(root, machine, interruptControllers);
  return writeFdt(root);
}

function addChosen(root: TreeNode, machine: MachineDescription, boot: BootDescription): void {
  const chosen = root.child('chosen');
  if (machine.serial !== undefined) {
    chosen.texts('stdout-path', `/soc/${unitName('serial', machine.serial)}:${machine.serial.settings}`);
  }
  if (boot.commandLine !== undefined) chosen.texts('bootargs', boot.commandLine);
  if (boot.initrd !== undefined) {
    chosen.wide('linux,initrd-start', boot.initrd.at).wide('linux,initrd-end', boot.initrd.at + boot.initrd.size);
  }
  chosen.bytes('rng-seed', boot.rngSeed).bytes('kaslr-seed', boot.kaslrSeed);
}

/** Returns the interrupt controller of each hart. */
function addHarts(root: TreeNode, machine: MachineDescription): readonly TreeNode[] {
  const cpus = root
    .child('cpus')
    .cells('#address-cells', 1)
    .cells('#size-cells', 0)
    .cells('timebase-frequency', machine.timebaseFrequency);
  const controllers: TreeNode[] = [];
  for (let hart = 0; hart < machine.harts; hart += 1) {
    const cpu = cpus
      .child(`cpu@${hart.toString(16)}`)
      .texts('device_type', 'cpu')
      .cells('reg', hart)
      .texts('status', 'okay')
      .texts('compatible', 'riscv')
      .texts('riscv,isa', isaString(machine.extensions))
      .texts('riscv,isa-base', 'rv64i')
      .texts('riscv,isa-extensions', ...canonicalExtensions(machine.extensions))
      .texts('mmu-type', `riscv,${machine.translation}`);
    const controller = cpu.child('interrupt-controller');
    controller.cells('#interrupt-cells', 1).flag('interrupt-controller').texts('compatible', 'riscv,cpu-intc');
    controllers.push(controller);
  }
  return controllers;
}

function addDevices(root: TreeNode, machine: MachineDescription, harts: readonly TreeNode[]): void {
  const soc = root
    .child('soc')
    .cells('#address-cells', 2)
    .cells('#size-cells', 2)
    .texts('compatible', 'simple-bus')
    .flag('ranges');
  const device = (name: string, window: Window, ...compatible: readonly string[]): TreeNode =>
    soc
      .child(unitName(name, window))
      .texts('compatible', ...compatible)
      .wide('reg', window.at, window.size);

  const { clint, plic, serial, rtc, generation, test, virtio } = machine;
  if (clint !== undefined) {
    device('clint', clint, 'sifive,clint0', 'riscv,clint0').cells(
      'interrupts-extended',
      ...harts.flatMap(hart => [hart, MACHINE_SOFTWARE, hart, MACHINE_TIMER]),
    );
  }
  // Parent of every interrupt below it; absent, the devices are polled.
  const plicNode =
    plic &&
    device('plic', plic, 'sifive,plic-1.0.0', 'riscv,plic0')
      .cells('#address-cells', 0)
      .cells('#interrupt-cells', 1)
      .flag('interrupt-controller')
      .cells('riscv,ndev', plic.sources)
      .cells('interrupts-extended', ...harts.flatMap(hart => [hart, MACHINE_EXTERNAL, hart, SUPERVISOR_EXTERNAL]));
  const interrupting = (name: string, window: InterruptingWindow, compatible: string): TreeNode => {
    const node = device(name, window, compatible);
    if (plicNode !== undefined) node.cells('interrupt-parent', plicNode).cells('interrupts', window.irq);
    return node;
  };

  if (serial !== undefined) interrupting('serial', serial, 'ns16550a').cells('clock-frequency', serial.clock);
  if (rtc !== undefined) interrupting('rtc', rtc, 'google,goldfish-rtc');
  if (generation !== undefined) interrupting('vmgenid', generation, 'microsoft,vmgenid');
  for (const slot of virtio) interrupting('virtio_mmio', slot, 'virtio,mmio');
  if (test !== undefined) {
    const registers = device('test', test, 'sifive,test1', 'sifive,test0', 'syscon');
    addSyscon(root, 'poweroff', registers, test.powerOff);
    addSyscon(root, 'reboot', registers, test.restart);
  }
}

/** Tells the guest which value to write to the test device's first register. */
function addSyscon(root: TreeNode, name: 'poweroff' | 'reboot', registers: TreeNode, value: number): void {
  root
    .child(name)
    .texts('compatible', `syscon-${name}`)
    .cells('regmap', registers)
    .cells('offset', 0)
    .cells('value', value);
}

function unitName(name: string, window: Window): string {
  return `${name}@${window.at.toString(16)}`;
}
