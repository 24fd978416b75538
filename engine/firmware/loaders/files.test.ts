import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { PE_MACHINE_RISCV64 } from './architectures.ts';
import type { Decompressors } from './decompress.ts';
import { loadFirmware, loadInitrd, loadKernel, loadPayload } from './files.ts';
import { type GuestFile, MIB } from './plan.ts';
import { efiProgram, elfFile, linuxImage, zbootKernel } from './samples.ts';

const OPENSBI = '/usr/lib/riscv64-linux-gnu/opensbi/generic';
const U_BOOT = '/usr/lib/u-boot';
const MEMORY = { at: 0x8000_0000, size: 64 * MIB };

const gunzip: Decompressors = { gzip: (bytes, limit) => gunzipSync(bytes, { maxOutputLength: limit }) };
const file = (bytes: Uint8Array | string, name = 'some file'): GuestFile => ({
  name,
  bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes,
});
const installed = (...where: readonly string[]): GuestFile => {
  const name = path.join(...where);
  return { name, bytes: readFileSync(name) };
};
const padded = (text: string, at = 0): Uint8Array => {
  const bytes = new Uint8Array(0x9000).fill(0x93);
  bytes.set(Buffer.from(text, 'latin1'), at);
  return bytes;
};

describe('files of Debian', () => {
  test.each([
    [`${OPENSBI}/fw_jump.bin`, 0x8000_0000, 0],
    [`${OPENSBI}/fw_dynamic.bin`, 0x8000_0000, 0],
    [`${OPENSBI}/fw_jump.elf`, 0x8000_0000, 0x10_0000],
    [`${OPENSBI}/fw_dynamic.elf`, 0x8000_0000, 0x10_0000],
    [`${U_BOOT}/qemu-riscv64/u-boot.bin`, 0x8000_0000, 0],
    [`${U_BOOT}/qemu-riscv64/uboot.elf`, 0x8000_0000, 0x10_0000],
  ])('%s is firmware', (name, at, mostZeroes) => {
    const plan = loadFirmware(installed(name), MEMORY);
    expect(plan.entry).toBe(at);
    expect(plan.segments).toHaveLength(1);
    expect(plan.segments[0]!.at).toBe(at);
    expect(plan.segments[0]!.bytes.length).toBeGreaterThan(100_000);
    expect(plan.segments[0]!.zeroAfter).toBeLessThanOrEqual(mostZeroes);
  });

  test.each(['u-boot.bin', 'uboot.elf'])('%s for S-mode is what firmware starts', name => {
    const plan = loadPayload(installed(U_BOOT, 'qemu-riscv64_smode', name), MEMORY, {});
    expect(plan.entry).toBe(0x8020_0000);
    expect(plan.segments[0]!.at).toBe(0x8020_0000);
  });

  test('the raw and the ELF form of OpenSBI load the same bytes', () => {
    const [raw] = loadFirmware(installed(OPENSBI, 'fw_dynamic.bin'), MEMORY).segments;
    const [elf] = loadFirmware(installed(OPENSBI, 'fw_dynamic.elf'), MEMORY).segments;
    expect(Buffer.compare(raw!.bytes, elf!.bytes)).toBe(0);
  });

  test.each([
    ['qemu_arm64/uboot.elf', /64-bit ARM/],
    ['qemu_arm/uboot.elf', /32-bit ARM/],
    ['qemu-x86_64/uboot.elf', /x86/],
    ['malta64el/uboot.elf', /MIPS/],
    ['qemu-ppce500/uboot.elf', /PowerPC/],
  ])('%s is for another processor', (name, text) => {
    expect(() => loadFirmware(installed(U_BOOT, name), MEMORY)).toThrow(text);
    expect(() => loadKernel(installed(U_BOOT, name), MEMORY, {})).toThrow(text);
  });
});

describe('kernels', () => {
  const image = linuxImage({ peMachine: PE_MACHINE_RISCV64 });

  test.each([
    ['plain', image],
    ['compressed', gzipSync(image)],
    ['self-decompressing', zbootKernel(gzipSync(image))],
  ])('%s are loaded', (_what, bytes) => {
    const plan = loadKernel(file(bytes), MEMORY, gunzip);
    expect(plan.entry).toBe(0x8020_0000);
    expect(Buffer.compare(plan.segments[0]!.bytes, image)).toBe(0);
  });

  test.each<[string, Uint8Array | string, RegExp]>([
    ['64-bit ARM', padded('ARM\x64', 0x38), /64-bit ARM, not RISC-V; use one built for 64-bit RISC-V/],
    ['x86', padded('HdrS', 0x202), /bzImage/],
    ['32-bit ARM', padded('\x18\x28\x6f\x01', 0x24), /zImage/],
    ['EFI for x86-64', efiProgram(0x8664), /EFI program for x86-64/],
    ['EFI for an unknown processor', efiProgram(0x1234), /unknown processor 4660/],
    ['EFI for RISC-V', efiProgram(PE_MACHINE_RISCV64), /EFI program, not a kernel/],
    ['self-decompressing for 64-bit ARM', zbootKernel(gzipSync(image), 0xaa64), /64-bit ARM/],
    ['self-decompressing, odd', zbootKernel(Buffer.from('odd payload')), /\(zboot\) whose compression is unknown/],
    ['gzip', gzipSync(image), /compressed with gzip; decompress it first: gzip -dc some file >Image/],
    ['zstd', zstdCompressSync(image), /compressed with zstd; .*zstd -dc/],
    ['xz', padded('\xfd7zXZ\0'), /compressed with xz/],
    ['lz4', padded('\x02\x21\x4c\x18'), /compressed with lz4/],
    ['bzip2', padded('BZh9'), /compressed with bzip2/],
    ['a U-Boot image', padded('\x27\x05\x19\x56'), /uImage/],
    ['a device tree', padded('\xd0\x0d\xfe\xed'), /device tree/],
    ['an initial RAM disk', padded('070701'), /--initrd/],
    ['a qcow2 disk', padded('QFI\xfb'), /qcow2.*--disk/],
    ['a CD', padded('CD001', 0x8001), /ISO 9660/],
    ['a partitioned disk', padded('EFI PART', 0x200), /GPT/],
    ['a Debian package', padded('!<arch>\n'), /archive/],
    ['a script', '#!/bin/sh\nexit 0\n', /script/],
    ['text', '<html>not found</html>', /it is text/],
    ['nothing', '', /it is empty/],
    ['a boot loader', '\x73\x25\x40\xf1', /no RISC-V Linux kernel.*--firmware/],
  ])('%s is named and refused', (_what, content, text) => {
    const load = (): unknown => loadKernel(file(content), MEMORY, {});
    expect(load).toThrow(expect.objectContaining({ kind: 'unsupported' }));
    expect(load).toThrow(text);
  });

  test('compressed twice is once too often', () => {
    expect(() => loadKernel(file(gzipSync(gzipSync(image))), MEMORY, gunzip)).toThrow(/compressed twice/);
  });

  test('compressed data that is damaged or too long is refused', () => {
    const damaged = gzipSync(image);
    damaged[damaged.length - 6]! ^= 1;
    expect(() => loadKernel(file(damaged), MEMORY, gunzip)).toThrow(
      expect.objectContaining({ kind: 'corrupt', cause: expect.any(Error) }),
    );
    const small = { at: MEMORY.at, size: 8192 };
    expect(() => loadKernel(file(gzipSync(image)), small, gunzip)).toThrow(
      expect.objectContaining({ kind: 'corrupt' }),
    );
    const heedless: Decompressors = { gzip: bytes => gunzipSync(bytes) };
    expect(() => loadKernel(file(gzipSync(image)), small, heedless)).toThrow(
      expect.objectContaining({ kind: 'too-large' }),
    );
  });

  test('a self-decompressing kernel that is cut short is refused', () => {
    const whole = zbootKernel(gzipSync(image));
    expect(() => loadKernel(file(whole.subarray(0, whole.length - 5)), MEMORY, gunzip)).toThrow(
      expect.objectContaining({ kind: 'corrupt' }),
    );
  });

  test('the line breaks and escapes of a file name do not get into the message', () => {
    const name = 'evil\n\u001b[31m\u009b2J';
    const load = (): unknown => loadKernel(file('', name), MEMORY, {});
    expect(load).toThrow('Cannot use evil??[31m?2J as kernel: it is empty');
    expect(load).toThrow(expect.objectContaining({ context: expect.objectContaining({ file: name }) }));
  });
});

describe('firmware', () => {
  test.each<[string, Uint8Array | string, RegExp]>([
    ['a Linux kernel', linuxImage(), /Linux kernel; pass it with --kernel/],
    ['a compressed file', gzipSync('firmware'), /compressed with gzip/],
    ['zeroes', new Uint8Array(4096), /does not begin with a RISC-V instruction/],
    ['a single byte', '\x13', /does not begin with a RISC-V instruction/],
    ['text', 'hello', /it is text/],
  ])('%s is refused', (_what, content, text) => {
    expect(() => loadFirmware(file(content), MEMORY)).toThrow(text);
  });

  test('larger than memory says how much is enough', () => {
    const big = file(new Uint8Array(65 * MIB).fill(0x93));
    expect(() => loadFirmware(big, MEMORY)).toThrow(/at least 65 MiB/);
    expect(() => loadPayload(big, MEMORY, {})).toThrow(/at least 67 MiB/);
  });
});

describe('initial RAM disks', () => {
  test('are taken as they are', () => {
    for (const content of [padded('070701'), gzipSync('archive'), zstdCompressSync(Buffer.from('archive'))]) {
      expect(loadInitrd(file(content))).toBe(content);
    }
  });

  test.each<[string, Uint8Array | string, RegExp]>([
    ['a kernel', linuxImage(), /--kernel/],
    ['an ELF file', elfFile({ segments: [] }), /--kernel/],
    ['nothing', '', /empty/],
  ])('%s is none', (_what, content, text) => {
    expect(() => loadInitrd(file(content))).toThrow(text);
  });
});
