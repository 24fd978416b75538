import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { MachineDescription } from '../device-tree.ts';
import { cellsOf, findNode, readFdt, textsOf } from '../fdt/read.ts';
import { PE_MACHINE_RISCV64 } from '../loaders/architectures.ts';
import { findOverlap, type GuestFile, MIB, segmentEnd } from '../loaders/plan.ts';
import { elfFile, linuxImage } from '../loaders/samples.ts';
import { type BootPlan, type BootRequest, bootPlan, type Software } from './plan.ts';

const OPENSBI = '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin';
const U_BOOT = '/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin';

const MACHINE: MachineDescription = {
  memory: { at: 0x8000_0000, size: 256 * MIB },
  timebaseFrequency: 10_000_000,
  harts: 1,
  extensions: ['i', 'm', 'a', 'f', 'd', 'c', 'zicsr', 'zifencei', 'sstc'],
  translation: 'sv48',
  clint: { at: 0x200_0000, size: 0x1_0000 },
  plic: { at: 0xc00_0000, size: 0x60_0000, sources: 95 },
  serial: { at: 0x1000_0000, size: 0x100, irq: 10, clock: 3_686_400, settings: '115200n8' },
  rtc: { at: 0x10_1000, size: 0x1000, irq: 11 },
  test: { at: 0x10_0000, size: 0x1000, powerOff: 0x5555, restart: 0x7777 },
  virtio: [{ at: 0x1000_1000, size: 0x1000, irq: 1 }],
};

const named = (name: string, bytes: Uint8Array): GuestFile => ({ name, bytes });
const installed = (name: string): GuestFile => named(name, readFileSync(name));
const KERNEL = named('vmlinuz', linuxImage({ peMachine: PE_MACHINE_RISCV64, imageSize: 32 * MIB }));
const INITRD = named('initrd.img', Buffer.from('070701 an archive'));

function plan(software: Software, more: Partial<BootRequest> = {}): BootPlan {
  const seeds = { rngSeed: new Uint8Array(64).fill(1), kaslrSeed: new Uint8Array(8).fill(2) };
  const made = bootPlan({ machine: MACHINE, software, ...seeds, ...more });
  // True of every plan: all inside RAM, nothing overlaps, the tree is where a1 and the ROM say.
  expect(findOverlap(made.segments)).toBeUndefined();
  const { memory } = more.machine ?? MACHINE;
  for (const segment of made.segments) {
    expect(segment.at).toBeGreaterThanOrEqual(memory.at);
    expect(segmentEnd(segment)).toBeLessThanOrEqual(memory.at + memory.size);
  }
  expect(romWord(made, 32)).toBe(made.treeAt);
  return made;
}

const romWord = (made: BootPlan, at: number): number => {
  const { bytes } = made.rom;
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true));
};
const contentAt = (made: BootPlan, at: number): Uint8Array => made.segments.find(segment => segment.at === at)!.bytes;

describe('Linux on the built-in SBI', () => {
  const made = plan({ way: 'linux', kernel: KERNEL, initrd: INITRD }, { commandLine: 'quiet' });

  test('starts the kernel in S-mode with hart id and tree', () => {
    expect(made.builtInSbi).toBe(true);
    expect(made.start).toEqual(
      expect.objectContaining({ mode: 'supervisor', pc: 0x8020_0000, a0: 0, a1: made.treeAt, a2: 0 }),
    );
    expect(contentAt(made, 0x8020_0000)).toBe(KERNEL.bytes);
  });

  test('hands over what firmware would have set up', () => {
    const { csrs } = made.start;
    // Everything is delegated but the supervisor's own calls (9) and machine mode's (11).
    expect(csrs.medeleg! & ((1n << 9n) | (1n << 11n))).toBe(0n);
    for (const cause of [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 12n, 13n, 15n]) {
      expect((csrs.medeleg! >> cause) & 1n, `exception ${cause}`).toBe(1n);
    }
    expect(csrs.mideleg).toBe((1n << 1n) | (1n << 5n) | (1n << 9n));
    expect(csrs.menvcfg).toBe(1n << 63n);
    const without = { ...MACHINE, extensions: ['i', 'm', 'a', 'svadu'] };
    expect(plan({ way: 'linux', kernel: KERNEL }, { machine: without }).start.csrs.menvcfg).toBe(1n << 61n);
  });

  test('tells the kernel where things are', () => {
    const chosen = findNode(readFdt(contentAt(made, made.treeAt)).root, '/chosen')!;
    expect(textsOf(chosen.properties.get('bootargs')!)).toEqual(['quiet']);
    expect(made.initrd).toEqual({ at: 0x8820_0000, size: INITRD.bytes.length });
    expect(cellsOf(chosen.properties.get('linux,initrd-start')!)).toEqual([0, 0x8820_0000]);
    expect(cellsOf(chosen.properties.get('linux,initrd-end')!)).toEqual([0, 0x8820_0000 + INITRD.bytes.length]);
    expect(contentAt(made, 0x8820_0000)).toBe(INITRD.bytes);
  });

  test('mentions no initial RAM disk where there is none', () => {
    const bare = plan({ way: 'linux', kernel: KERNEL });
    expect(bare.initrd).toBeUndefined();
    const chosen = findNode(readFdt(contentAt(bare, bare.treeAt)).root, '/chosen')!;
    expect([...chosen.properties.keys()]).toEqual(['stdout-path', 'rng-seed', 'kaslr-seed']);
  });

  test('needs as much memory as the error says', () => {
    const software: Software = { way: 'linux', kernel: KERNEL, initrd: named('big', new Uint8Array(40 * MIB).fill(1)) };
    const sized = (mib: number): Partial<BootRequest> => ({
      machine: { ...MACHINE, memory: { at: 0x8000_0000, size: mib * MIB } },
    });
    expect(() => plan(software, sized(64))).toThrow(
      '64 MiB of memory are too few for vmlinuz and big; give the machine at least 75 MiB',
    );
    expect(plan(software, sized(75)).initrd!.at).toBe(0x8220_0000);
    expect(() => plan(software, sized(33))).toThrow(/vmlinuz as kernel.*at least 34 MiB/);
  });

  test('a command line that Linux would cut off is refused', () => {
    const software: Software = { way: 'linux', kernel: KERNEL };
    expect(plan(software, { commandLine: 'x'.repeat(1023) }).treeAt).toBeGreaterThan(0);
    for (const commandLine of ['x'.repeat(1024), 'é'.repeat(512), 'a\0b']) {
      expect(() => plan(software, { commandLine })).toThrow(expect.objectContaining({ kind: 'usage' }));
    }
  });
});

describe('machine-mode firmware', () => {
  test('starts from the reset vector and is told of the kernel', () => {
    const made = plan({ way: 'firmware', firmware: installed(OPENSBI), kernel: KERNEL, initrd: INITRD });
    expect(made.builtInSbi).toBe(false);
    expect(made.start).toEqual({ mode: 'machine', pc: 0x1000, a0: 0, a1: 0, a2: 0, csrs: {} });
    expect(made.rom.at).toBe(0x1000);
    expect(romWord(made, 24)).toBe(0x8000_0000);
    expect(romWord(made, 56)).toBe(0x8020_0000);
    expect(contentAt(made, 0x8020_0000)).toBe(KERNEL.bytes);
    expect(made.initrd!.at).toBe(0x8820_0000);
  });

  test('may have nothing to start', () => {
    const made = plan({ way: 'firmware', firmware: installed('/usr/lib/u-boot/qemu-riscv64/u-boot.bin') });
    expect(romWord(made, 24)).toBe(0x8000_0000);
    expect(romWord(made, 56)).toBe(0);
  });

  test('must leave the place where the kernel goes', () => {
    const firmware = named('big.bin', new Uint8Array(2 * MIB + 2).fill(0x93));
    expect(() => plan({ way: 'firmware', firmware, kernel: installed(U_BOOT) })).toThrow(
      /^Firmware and kernel overlap: 0x80000000 to 0x80200002 and 0x80200000/,
    );
  });

  test('finds its way by our tree: OpenSBI and U-Boot on QEMU, to the prompt and to power-off', async () => {
    const made = plan({ way: 'firmware', firmware: installed(OPENSBI), kernel: installed(U_BOOT) });
    const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-boot-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const tree = path.join(folder, 'tree.dtb');
    writeFileSync(tree, contentAt(made, made.treeAt));
    const machine = ['-M', 'virt', '-m', '256', '-display', 'none', '-serial', 'stdio', '-monitor', 'none'];
    const qemu = spawn('qemu-system-riscv64', [...machine, '-dtb', tree, '-bios', OPENSBI, '-kernel', U_BOOT]);
    onTestFinished(() => void qemu.kill());
    let output = '';
    const answers: [prompt: RegExp, answer: string][] = [
      [/Hit any key/, '\n'],
      [/^=> $/m, 'poweroff\n'],
    ];
    qemu.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString('latin1').replaceAll('\r', '');
      if (answers[0]?.[0].test(output)) qemu.stdin.write(answers.shift()![1]);
    });
    const status = await new Promise((resolve, reject) => qemu.on('exit', resolve).on('error', reject));
    expect(output).toContain('afterimage');
    expect(output).toMatch(/DRAM: +256 MiB/);
    expect(answers).toEqual([]);
    expect(status).toBe(0);
  });
});

describe('a bare program', () => {
  test('starts in M-mode as if the reset vector had run', () => {
    const bytes = elfFile({
      segments: [{ virtual: 0x8000_0000n, bytes: new Uint8Array(64).fill(0x13) }],
      entry: 0x8000_0010n,
      symbols: { tohost: 0x8000_0020n, begin_signature: 0x8000_0030n, unasked: 1n },
    });
    const made = plan({ way: 'program', program: named('add.elf', bytes) });
    expect(made.builtInSbi).toBe(false);
    expect(made.start).toEqual({
      mode: 'machine',
      pc: 0x8000_0010,
      a0: 0,
      a1: made.treeAt,
      a2: 0x1028,
      csrs: {},
    });
    expect([...made.symbols].toSorted()).toEqual([
      ['begin_signature', 0x8000_0030],
      ['tohost', 0x8000_0020],
    ]);
    expect(romWord(made, 24)).toBe(0x8000_0010);
  });

  test('is an ELF file', () => {
    expect(() => plan({ way: 'program', program: named('add.bin', Uint8Array.of(0x13, 0)) })).toThrow(
      /^Cannot use add\.bin as program: it is not an ELF file; /,
    );
  });
});
