import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type BootDescription, describeMachine, type MachineDescription } from './device-tree.ts';
import { cellsOf, type FdtNode, findNode, readFdt, textsOf } from './fdt/read.ts';

const MIB = 2 ** 20;

/** QEMU's machine as far as we have it. QEMU lists the virtio slots from the last to the first. */
const MACHINE: MachineDescription = {
  memory: { at: 0x8000_0000, size: 512 * MIB },
  timebaseFrequency: 10_000_000,
  harts: 2,
  extensions: ['i', 'm', 'a', 'f', 'd', 'c', 'zicsr', 'zifencei', 'zba', 'sstc'],
  translation: 'sv48',
  clint: { at: 0x200_0000, size: 0x1_0000 },
  plic: { at: 0xc00_0000, size: 0x60_0000, sources: 95 },
  serial: { at: 0x1000_0000, size: 0x100, irq: 10, clock: 3_686_400, settings: '115200n8r' },
  rtc: { at: 0x10_1000, size: 0x1000, irq: 11 },
  test: { at: 0x10_0000, size: 0x1000, powerOff: 0x5555, restart: 0x7777 },
  virtio: Array.from({ length: 8 }, (_, slot) => ({ at: 0x1000_8000 - slot * 0x1000, size: 0x1000, irq: 8 - slot })),
};

const BOOT: BootDescription = {
  commandLine: 'root=/dev/vda ro',
  initrd: { at: 0x8820_0000, size: 12_345 },
  rngSeed: Uint8Array.from({ length: 32 }, (_, index) => index * 5),
  kaslrSeed: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
};

/** What QEMU says otherwise, or what differs from start to start. */
const DIFFERS = new Set(['model', 'phandle', 'riscv,isa', 'riscv,ndev', 'rng-seed', 'stdout-path']);

describe('the device tree of a machine', () => {
  const { root } = readFdt(describeMachine(MACHINE, BOOT));
  const at = (where: string): FdtNode => findNode(root, where)!;
  const cells = (where: string, name: string): number[] => cellsOf(at(where).properties.get(name)!);
  const texts = (where: string, name: string): string[] => textsOf(at(where).properties.get(name)!);

  test('says how to start', () => {
    expect(texts('/', 'compatible')).toEqual(['riscv-virtio']);
    expect(texts('/', 'model')[0]).toContain('afterimage');
    expect(texts('/chosen', 'stdout-path')).toEqual(['/soc/serial@10000000:115200n8r']);
    expect(texts('/chosen', 'bootargs')).toEqual(['root=/dev/vda ro']);
    expect(cells('/chosen', 'linux,initrd-start')).toEqual([0, 0x8820_0000]);
    expect(cells('/chosen', 'linux,initrd-end')).toEqual([0, 0x8820_0000 + 12_345]);
    expect(at('/chosen').properties.get('rng-seed')).toEqual(BOOT.rngSeed);
    expect(at('/chosen').properties.get('kaslr-seed')).toEqual(BOOT.kaslrSeed);
  });

  test('names the extensions of every hart', () => {
    for (const hart of ['/cpus/cpu@0', '/cpus/cpu@1']) {
      expect(texts(hart, 'riscv,isa')).toEqual(['rv64imafdc_zicsr_zifencei_zba_sstc']);
      expect(texts(hart, 'riscv,isa-base')).toEqual(['rv64i']);
      expect(texts(hart, 'riscv,isa-extensions')).toEqual(MACHINE.extensions);
      expect(texts(hart, 'mmu-type')).toEqual(['riscv,sv48']);
    }
  });

  test('has no node for what the machine lacks', () => {
    const { memory, timebaseFrequency, harts, extensions, translation } = MACHINE;
    const bare = { memory, timebaseFrequency, harts, extensions, translation, virtio: [] };
    const tree = readFdt(describeMachine(bare, { rngSeed: BOOT.rngSeed, kaslrSeed: BOOT.kaslrSeed })).root;
    expect(tree.children.map(child => child.name)).toEqual(['chosen', 'memory@80000000', 'cpus', 'soc']);
    expect(findNode(tree, '/soc')!.children).toEqual([]);
    expect([...findNode(tree, '/chosen')!.properties.keys()]).toEqual(['rng-seed', 'kaslr-seed']);
  });

  test('memory above 4 GiB keeps its upper half', () => {
    const tree = readFdt(describeMachine({ ...MACHINE, memory: { at: 0x8000_0000, size: 5 * 2 ** 30 } }, BOOT)).root;
    expect(cellsOf(findNode(tree, '/memory@80000000')!.properties.get('reg')!)).toEqual([0, 0x8000_0000, 1, 2 ** 30]);
  });

  test('a short seed is refused', () => {
    expect(() => describeMachine(MACHINE, { ...BOOT, rngSeed: new Uint8Array(31) })).toThrow(
      expect.objectContaining({ kind: 'internal' }),
    );
  });

  test('is sound in the eyes of the device tree compiler', () => {
    const result = spawnSync('dtc', ['-I', 'dtb', '-O', 'dts'], { input: describeMachine(MACHINE, BOOT) });
    expect(result.status).toBe(0);
    // QEMU's tree has the same gap: an interrupt controller of a CPU has no addresses.
    const complaints = result.stderr.toString().split('\n').filter(Boolean);
    expect(complaints.filter(line => !/cpu@\d\/interrupt-controller: Missing #address-cells/.test(line))).toEqual([]);
    expect(result.stdout.toString()).toContain('interrupts-extended = <0x01 0x0b 0x01 0x09 0x02 0x0b 0x02 0x09>');
  });

  test('agrees with QEMU on every node and property that both have', () => {
    const theirs = readFdt(qemuTree()).root;
    const ours = readFdt(describeMachine(MACHINE, BOOT)).root;
    const compared: string[] = [];
    const compare = (our: FdtNode, their: FdtNode, where: string): void => {
      compared.push(where);
      for (const [name, value] of our.properties) {
        const their_ = their.properties.get(name);
        if (their_ === undefined || DIFFERS.has(name)) continue;
        expect(values(name, value, ours), `${where} ${name}`).toEqual(values(name, their_, theirs));
      }
      for (const name of their.properties.keys()) {
        if (!DIFFERS.has(name)) expect(our.properties.has(name), `${where} lacks ${name}`).toBe(true);
      }
      for (const child of our.children) {
        const match = their.children.find(other => other.name === child.name);
        if (match !== undefined) compare(child, match, `${where}/${child.name}`);
      }
    };
    compare(ours, theirs, '');
    const slots = (tree: FdtNode): string[] =>
      findNode(tree, '/soc')!
        .children.map(child => child.name)
        .filter(name => name.startsWith('virtio'))
        .toSorted();
    expect(slots(ours)).toEqual(slots(theirs));
    // root, chosen, memory, cpus, 2 × (cpu, controller), soc, 8 virtio, clint, plic, serial, rtc, test, 2 × syscon
    expect(compared).toHaveLength(24);
  });
});

function qemuTree(): Uint8Array {
  const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-fdt-'));
  try {
    const file = path.join(folder, 'virt.dtb');
    const options = ['-M', `virt,dumpdtb=${file}`, '-m', '512', '-smp', '2', '-display', 'none'];
    const result = spawnSync('qemu-system-riscv64', options);
    expect(result.error, 'QEMU runs').toBeUndefined();
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A property's cells with phandles replaced by the name of what they lead to. */
function values(name: string, value: Uint8Array, tree: FdtNode): (number | string)[] {
  const cells: (number | string)[] = cellsOf(value);
  const stride = { 'interrupts-extended': 2, 'interrupt-parent': 1, regmap: 1 }[name];
  if (stride === undefined) return [...value];
  return cells.map((cell, index) => (index % stride === 0 ? phandleTarget(tree, Number(cell)) : cell));
}

function phandleTarget(node: FdtNode, phandle: number, where = ''): string {
  const own = node.properties.get('phandle');
  if (own !== undefined && cellsOf(own)[0] === phandle) return where;
  return node.children.map(child => phandleTarget(child, phandle, `${where}/${child.name}`)).join('');
}
