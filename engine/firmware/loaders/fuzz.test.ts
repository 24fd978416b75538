import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { AfterimageError } from '../../base/errors.ts';
import { PE_MACHINE_RISCV64 } from './architectures.ts';
import { loadElf } from './elf.ts';
import { loadFirmware, loadKernel, loadPayload } from './files.ts';
import { findOverlap, type GuestFile, type LoadPlan, MIB, segmentEnd } from './plan.ts';
import { elfFile, linuxImage, randomNumbers, zbootKernel } from './samples.ts';

const MEMORY = { at: 0x8000_0000, size: 64 * MIB };
const ROUNDS = 4000;

const SYMBOLS = ['tohost', 'fromhost', 'begin_signature', 'end_signature'];
const decompressors = { gzip: (bytes: Uint8Array, limit: number) => gunzipSync(bytes, { maxOutputLength: limit }) };
const code = Uint8Array.from({ length: 256 }, (_, index) => index);
const image = linuxImage({ size: 0x600, peMachine: PE_MACHINE_RISCV64 });

const loaders: Record<string, (file: GuestFile) => LoadPlan> = {
  kernel: file => loadKernel(file, MEMORY, decompressors),
  payload: file => loadPayload(file, MEMORY, decompressors),
  firmware: file => loadFirmware(file, MEMORY),
  program: file => loadElf(file, 'program', MEMORY, SYMBOLS),
};

const samples: Record<string, Uint8Array> = {
  'plain image': linuxImage({ size: 0x300 }),
  'EFI image': image,
  'zboot image': zbootKernel(gzipSync(image)),
  'gzip image': gzipSync(image),
  'ELF program': elfFile({
    segments: [
      { virtual: 0x8000_0000n, bytes: code },
      { virtual: 0x8000_1000n, bytes: code, memorySize: 0x1000 },
    ],
    symbols: { tohost: 0x8000_1000n, fromhost: 0x8000_1040n, begin_signature: 0x8000_1080n },
  }),
  'Linux ELF': elfFile({ segments: [{ virtual: 0xffff_ffff_8000_0000n, physical: 0n, bytes: code }] }),
  'OpenSBI ELF': readFileSync('/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf'),
};

/** Values that sit at the edges of what fields are checked against. */
const EDGES = [
  0n,
  1n,
  2n,
  0x7fn,
  0xffn,
  0xffffn,
  0x8000_0000n,
  0x8020_0000n,
  2n ** 32n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function damage(original: Uint8Array, random: (below: number) => number): Uint8Array {
  const bytes = new Uint8Array(original);
  const view = new DataView(bytes.buffer);
  for (let change = random(4); change >= 0; change -= 1) {
    // Headers are where decisions are made; most changes go there.
    const at = random(random(4) === 0 ? bytes.length : Math.min(bytes.length, 512));
    if (random(2) === 0 || at + 8 > bytes.length) bytes[at] = random(256);
    else view.setBigUint64(at & ~7, EDGES[random(EDGES.length)]!, true);
  }
  return random(5) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
}

for (const [name, original] of Object.entries(samples)) {
  test(`${name}: damaged, it loads within bounds or is refused with a typed error`, () => {
    const seed = name.length * 7919;
    const random = randomNumbers(seed);
    let loaded = 0;
    let refused = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const file = { name: 'fuzz', bytes: damage(original, random) };
      for (const [role, load] of Object.entries(loaders)) {
        try {
          const plan = load(file);
          loaded += 1;
          const where = `seed ${seed} round ${round} as ${role}`;
          const inRam = plan.segments.every(
            segment =>
              segment.at >= MEMORY.at && segment.zeroAfter >= 0 && segmentEnd(segment) <= MEMORY.at + MEMORY.size,
          );
          const entered = plan.segments.some(segment => plan.entry >= segment.at && plan.entry < segmentEnd(segment));
          if (!inRam || !entered || findOverlap(plan.segments) !== undefined) expect.fail(where);
        } catch (error) {
          refused += 1;
          if (!(error instanceof AfterimageError) || error.kind === 'internal') throw error;
          if (/[\n\r]/.test(error.message)) expect.fail(`two lines: ${error.message}`);
        }
      }
    }
    expect(loaded).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(ROUNDS);
  });
}
