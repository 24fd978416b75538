import { describe, expect, test } from 'vitest';
import { PE_MACHINE_RISCV64 } from './architectures.ts';
import { loadLinuxImage } from './linux-image.ts';
import { type GuestFile, MIB } from './plan.ts';
import { type ImageOptions, linuxImage } from './samples.ts';

const MEMORY = { at: 0x8000_0000, size: 64 * MIB };
const file = (bytes: Uint8Array): GuestFile => ({ name: 'vmlinuz', bytes });

describe('a Linux image', () => {
  test.each<[string, ImageOptions]>([
    ['plain', {}],
    ['with an EFI stub', { peMachine: PE_MACHINE_RISCV64 }],
    ['with an EFI stub and a signature behind its sections', { peMachine: PE_MACHINE_RISCV64, sectionsEnd: 0x2000 }],
  ])('%s goes 2 MiB into RAM', (_what, options) => {
    const bytes = linuxImage(options);
    const plan = loadLinuxImage(file(bytes), MEMORY);
    expect(plan.entry).toBe(0x8020_0000);
    expect(plan.segments).toEqual([{ at: 0x8020_0000, bytes, zeroAfter: 0x1000 }]);
  });

  test('is loaded where its header wants it', () => {
    expect(loadLinuxImage(file(linuxImage({ textOffset: 8 * MIB })), MEMORY).entry).toBe(0x8080_0000);
  });

  test('without a size has that of its file', () => {
    expect(loadLinuxImage(file(linuxImage({ imageSize: 0 })), MEMORY).segments[0]!.zeroAfter).toBe(0);
  });

  test('fits exactly or says how much memory it needs', () => {
    const image = file(linuxImage({ imageSize: 62 * MIB }));
    expect(loadLinuxImage(image, MEMORY).segments[0]!.zeroAfter).toBe(62 * MIB - 0x3000);
    expect(() => loadLinuxImage(image, { ...MEMORY, size: 63 * MIB })).toThrow(
      expect.objectContaining({ kind: 'too-large', context: expect.objectContaining({ enoughMiB: 64 }) }),
    );
  });

  test.each<[string, ImageOptions, string, RegExp]>([
    ['cut short', { peMachine: PE_MACHINE_RISCV64, sectionsEnd: 0x3001 }, 'corrupt', /at least 12289 bytes.*has 12288/],
    ['for another processor', { peMachine: 0x5032 }, 'unsupported', /32-bit RISC-V/],
    ['for 32 bits', { textOffset: 4 * MIB }, 'unsupported', /32-bit kernel.*riscv64/],
    ['for M-mode', { textOffset: 0 }, 'unsupported', /M-mode/],
    ['at an odd place', { textOffset: 0x20_1000 }, 'unsupported', /0x201000/],
    ['at a place beyond all', { textOffset: 2 ** 60 }, 'unsupported', /0x1000000000000000/],
    ['of big-endian code', { flags: 1 }, 'unsupported', /big-endian/],
    ['of a header yet unknown', { version: 0x1_0003 }, 'unsupported', /version 1\.3/],
    ['of a size beyond all', { imageSize: 2 ** 62 }, 'corrupt', /0x4000000000000000/],
  ])('%s is refused in one line', (_what, options, kind, text) => {
    const load = (): unknown => loadLinuxImage(file(linuxImage(options)), MEMORY);
    expect(load).toThrow(expect.objectContaining({ kind, context: expect.objectContaining({ file: 'vmlinuz' }) }));
    expect(load).toThrow(text);
    expect(load).toThrow(/^Cannot use vmlinuz as kernel: [^\n]*; [^\n]*$/);
  });

  test.each([
    ['a header that ends early', linuxImage().subarray(0, 0x3d)],
    ['an EFI stub without its header', linuxImage({ peMachine: PE_MACHINE_RISCV64 }).with(0x40, 0)],
    ['a section table beyond the end', linuxImage({ peMachine: PE_MACHINE_RISCV64 }).with(0x47, 0xff)],
  ])('with %s is refused as damaged', (_what, bytes) => {
    expect(() => loadLinuxImage(file(bytes), MEMORY)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
  });
});
