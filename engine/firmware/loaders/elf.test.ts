import { describe, expect, test } from 'vitest';
import { loadElf } from './elf.ts';
import { type GuestFile, type LoadPlan, MIB } from './plan.ts';
import { type ElfOptions, elfFile } from './samples.ts';

const MEMORY = { at: 0x8000_0000, size: 16 * MIB };
const CODE = Uint8Array.from({ length: 64 }, (_, index) => index + 1);
const LINUX_VIRTUAL = 0xffff_ffff_8000_0000n;

const file = (bytes: Uint8Array): GuestFile => ({ name: 'test.elf', bytes });
const load = (options: ElfOptions, symbols?: readonly string[]): LoadPlan =>
  loadElf(file(elfFile(options)), 'program', MEMORY, symbols);
const simple: ElfOptions = { segments: [{ virtual: 0x8000_0000n, bytes: CODE }] };

describe('an ELF file', () => {
  test('goes to its physical addresses, zeroed data behind it', () => {
    const plan = load({
      segments: [
        { virtual: 0x8000_0000n, bytes: CODE },
        { virtual: 0x4000_0000n, physical: 0x8000_2000n, bytes: CODE.subarray(0, 8), memorySize: 4096 },
        { virtual: 0x8000_8000n, bytes: new Uint8Array(0), memorySize: 16 },
      ],
      entry: 0x8000_0004n,
    });
    expect(plan).toEqual({
      segments: [
        { at: 0x8000_0000, bytes: CODE, zeroAfter: 0 },
        { at: 0x8000_2000, bytes: CODE.subarray(0, 8), zeroAfter: 4088 },
        { at: 0x8000_8000, bytes: new Uint8Array(0), zeroAfter: 16 },
      ],
      entry: 0x8000_0004,
    });
  });

  test.each([2, 3])('of type %i is loaded', type => {
    expect(load({ ...simple, type }).entry).toBe(0x8000_0000);
  });

  test('with virtual addresses has its entry and symbols translated', () => {
    const plan = load(
      {
        segments: [{ virtual: 0xffff_ffc0_0000_0000n, physical: 0x8010_0000n, bytes: CODE, memorySize: 0x2000 }],
        entry: 0xffff_ffc0_0000_0010n,
        symbols: { tohost: 0xffff_ffc0_0000_1000n, outside: 0xffff_ffc0_0000_2000n },
      },
      ['tohost', 'outside'],
    );
    expect(plan.entry).toBe(0x8010_0010);
    expect([...plan.symbols!]).toEqual([['tohost', 0x8010_1000]]);
  });

  test('that is a Linux vmlinux goes where its Image would', () => {
    const plan = load({
      segments: [
        { virtual: LINUX_VIRTUAL, physical: 0n, bytes: CODE },
        { virtual: LINUX_VIRTUAL + 0x10_0000n, physical: 0x10_0000n, bytes: CODE, memorySize: 0x1000 },
      ],
      entry: LINUX_VIRTUAL,
    });
    expect(plan.entry).toBe(0x8020_0000);
    expect(plan.segments.map(segment => segment.at)).toEqual([0x8020_0000, 0x8030_0000]);
  });

  test('gives the symbols asked for, as far as it has them', () => {
    const symbols = { begin_signature: 0x8000_0010n, tohost_: 1n, tohost: 0x8000_0020n, fromhost: undefined };
    const plan = load({ ...simple, symbols }, ['tohost', 'fromhost', 'begin_signature']);
    expect([...plan.symbols!].toSorted()).toEqual([
      ['begin_signature', 0x8000_0010],
      ['tohost', 0x8000_0020],
    ]);
    expect(load(simple, ['tohost']).symbols!.size).toBe(0);
    expect(load({ ...simple, symbols }).symbols).toBeUndefined();
  });

  test.each<[string, ElfOptions | Uint8Array, string, RegExp]>([
    ['for x86-64', { ...simple, machine: 62 }, 'unsupported', /x86-64, not RISC-V; use one built for riscv64/],
    ['for 64-bit ARM', { ...simple, machine: 183 }, 'unsupported', /64-bit ARM/],
    ['for nobody knows what', { ...simple, machine: 0xfffe }, 'unsupported', /unknown processor 65534/],
    ['of 32 bits', elfFile(simple).with(4, 1), 'unsupported', /32-bit RISC-V/],
    ['for big-endian PowerPC', elfFile({ ...simple, machine: 0x1500 }).with(5, 2), 'unsupported', /64-bit PowerPC/],
    ['of big-endian RISC-V', elfFile({ ...simple, machine: 0xf300 }).with(5, 2), 'unsupported', /big-endian/],
    ['for RV64E', { ...simple, flags: 8 }, 'unsupported', /RV64E/],
    ['not linked', { ...simple, type: 1 }, 'unsupported', /not linked/],
    ['with nothing in it', { segments: [] }, 'unsupported', /nothing to load/],
    ['cut in its header', elfFile(simple).subarray(0, 63), 'corrupt', /header/],
    ['cut in its program headers', elfFile(simple).subarray(0, 119), 'corrupt', /program headers/],
    ['cut in its segment', elfFile(simple).subarray(0, 183), 'corrupt', /end at byte 184.*ends at 183/],
    [
      'with more file than memory',
      { segments: [{ virtual: 0x8000_0000n, bytes: CODE, memorySize: 63 }] },
      'corrupt',
      /more bytes/,
    ],
    ['with odd program headers', elfFile(simple).with(54, 55), 'corrupt', /wrong size/],
    ['with an odd entry', { ...simple, entry: 0x8000_0001n }, 'corrupt', /entry point 0x80000001/],
    ['with an entry outside it', { ...simple, entry: 0x8000_0040n }, 'corrupt', /entry point/],
    ['with an entry beyond all', { ...simple, entry: 2n ** 64n - 2n }, 'corrupt', /entry point/],
    [
      'below RAM',
      { segments: [{ virtual: 0x1_0000n, bytes: CODE }] },
      'unsupported',
      /0x10000 to 0x10040.*link it to 0x80000000/,
    ],
    ['far above RAM', { segments: [{ virtual: 2n ** 63n, bytes: CODE }] }, 'unsupported', /no RAM/],
    [
      'of a size beyond all',
      { segments: [{ virtual: 0x8000_0000n, bytes: CODE, memorySize: 2 ** 60 }] },
      'corrupt',
      /more bytes/,
    ],
    [
      'larger than RAM',
      { segments: [{ virtual: 0x8000_0000n, bytes: CODE, memorySize: 17 * MIB }] },
      'too-large',
      /at least 17 MiB/,
    ],
    [
      'with overlapping segments',
      { segments: [0x8000_0000n, 0x8000_003fn].map(virtual => ({ virtual, bytes: CODE })) },
      'corrupt',
      /0x80000000 and 0x8000003f overlap/,
    ],
  ])('%s is refused in one line', (_what, options, kind, text) => {
    const bytes = options instanceof Uint8Array ? options : elfFile(options);
    const attempt = (): unknown => loadElf(file(bytes), 'program', MEMORY);
    expect(attempt).toThrow(expect.objectContaining({ kind, context: expect.objectContaining({ file: 'test.elf' }) }));
    expect(attempt).toThrow(text);
    expect(attempt).toThrow(/^Cannot use test\.elf as program: [^\n]*; [^\n]*$/);
  });

  test('with damaged symbol tables is refused when symbols are wanted', () => {
    const bytes = elfFile({ ...simple, symbols: { tohost: 1n } });
    for (let cut = 1; cut <= 192; cut += 1) {
      const attempt = (): unknown =>
        loadElf(file(bytes.subarray(0, bytes.length - cut)), 'program', MEMORY, ['tohost']);
      expect(attempt).toThrow(expect.objectContaining({ kind: 'corrupt' }));
    }
    expect(loadElf(file(bytes.subarray(0, bytes.length - 1)), 'program', MEMORY).entry).toBe(0x8000_0000);
  });
});
