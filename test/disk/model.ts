import { expect } from 'vitest';
import type { Disk } from '../../engine/disk/disk.ts';
import type { Random } from '../contract/random.ts';

/** Cuts a range into runs of any length, as scattered guest memory does. */
export function cut(bytes: Uint8Array, random: Random): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.below(4) === 0 ? 1 + random.below(700) : 4096;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/**
 * Random operations on `disk`, up to `most` in flight together, against plain bytes. Overlapping operations must take
 * effect in the order of submission, so the bytes say at submission what each read will find.
 */
export async function runModel(disk: Disk, model: Uint8Array, random: Random, steps: number, most = 8): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  const start = (work: Promise<void>) => {
    inFlight.add(work);
    return work.finally(() => inFlight.delete(work));
  };
  const problems: string[] = [];
  const range = () => {
    const unit = random.below(3) === 0 ? 1 : 512;
    const units = Math.floor(disk.size / unit);
    const at = random.below(units);
    // Mostly small and close together, so that many overlap.
    const longest = random.below(10) === 0 ? units : Math.ceil(20_000 / unit);
    const near = random.below(2) === 0 ? at % Math.ceil(40_000 / unit) : at;
    return { offset: near * unit, length: random.below(Math.min(longest, units - near) + 1) * unit };
  };

  for (let step = 0; step < steps; step += 1) {
    const { offset, length } = range();
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2: {
        const bytes = new Uint8Array(length).fill(1 + random.below(255));
        // Not all alike, so that a shifted write shows.
        for (let at = 0; at < length; at += 97) bytes[at] = random.below(256);
        model.set(bytes, offset);
        start(disk.write(offset, cut(bytes, random)));
        break;
      }
      case 3:
        model.fill(0, offset, offset + length);
        start(disk.writeZeroes(offset, length));
        break;
      case 4:
        start(disk.flush());
        break;
      case 5:
        if (random.below(4) > 0) break;
        await Promise.all(inFlight);
        await disk.discard(offset, length);
        await adopt(disk, model, offset, length);
        break;
      default: {
        const expected = model.slice(offset, offset + length);
        const found = new Uint8Array(length).fill(0xee);
        start(
          disk.read(offset, cut(found, random)).then(() => {
            if (!Buffer.from(found).equals(expected)) problems.push(`step ${step}: ${length} bytes at ${offset}`);
          }),
        );
      }
    }
    while (inFlight.size >= most) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  expect(problems, `seed ${random.seed}`).toEqual([]);
  const whole = new Uint8Array(disk.size);
  await disk.read(0, [whole]);
  expect(Buffer.from(whole).equals(model), `seed ${random.seed}, at the end`).toBe(true);
}

/** After a discard each byte is what it was or zero: the model takes over what it finds. */
async function adopt(disk: Disk, model: Uint8Array, offset: number, length: number): Promise<void> {
  const found = new Uint8Array(length);
  await disk.read(offset, [found]);
  for (let at = 0; at < length; at += 1) {
    if (found[at] !== 0 && found[at] !== model[offset + at]) expect.fail(`Discard changed byte ${offset + at}`);
  }
  model.set(found, offset);
}
