/**
 * The suite that every device passes (STYLE 10). Used from a device's own test file:
 *
 *     deviceContract('uart', {
 *       section: uartSection,
 *       window: 0x100,
 *       make: () => new Uart(...),
 *       restore: state => Uart.restore({ ... }, state),
 *       disturb: uart => uart.write(7, 1, 0x5a),
 *     });
 */
import { describe, expect, it } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { AccessWidth, MmioDevice } from '../../engine/devices/device.ts';
import { decode, encode, type Saves, type Section } from '../../engine/state/section.ts';
import { Random } from './random.ts';

export interface DeviceContract<S, D extends MmioDevice & Saves<S>> {
  readonly section: Section<S>;
  /** Size of the register window in bytes. */
  readonly window: number;
  /** A new device in new surroundings; two of them must save alike. */
  make(): D;
  /** A device with this state in surroundings as `make` gives them. */
  restore(state: S): D;
  /** Changes the device so that it saves differently, as far from the new state as one can get. Left out for a device without state. */
  disturb?(device: D): void;
  /** Fields that are not the device's own and that reset leaves alone, e.g. bytes already on the line. */
  readonly survivesReset?: readonly (keyof S)[];
  /** Offsets where accesses are most interesting; a quarter of all hostile accesses go elsewhere. */
  readonly offsets?: readonly number[];
}

const WIDTHS: readonly AccessWidth[] = [1, 2, 4, 8];
// Enough to hit each byte of the small device states several times and still take milliseconds.
const FLIPS = 1000;
const ACCESSES = 5000;

const VALUES = [0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 2 ** 32, 2 ** 53 - 1];

export function deviceContract<S, D extends MmioDevice & Saves<S>>(name: string, contract: DeviceContract<S, D>): void {
  const { section, make, restore } = contract;
  const disturbed = () => {
    const device = make();
    contract.disturb?.(device);
    return device;
  };

  /** What reset has to bring back to that of a new device. */
  const own = (state: S): S => {
    const copy = { ...state };
    for (const field of contract.survivesReset ?? []) delete copy[field];
    return copy;
  };

  describe(`${name} as a device`, () => {
    it('saves without changing, into data that does not change afterwards', () => {
      const device = disturbed();
      const first = device.save();
      const copy = structuredClone(first);
      expect(device.save()).toEqual(first);
      device.reset();
      contract.disturb?.(device);
      hammer(device, contract, new Random(1), 200);
      expect(first).toEqual(copy);
    });

    it('saves what it was restored from', () => {
      for (const device of [make(), disturbed()]) {
        const state = device.save();
        expect(restore(structuredClone(state)).save()).toEqual(state);
        const bytes = encode(section, state);
        expect(restore(decode(section, bytes)).save()).toEqual(state);
        expect(encode(section, decode(section, bytes))).toEqual(bytes);
      }
    });

    it('saves differently once disturbed', () => {
      expect(encode(section, make().save())).toEqual(encode(section, make().save()));
      if (contract.disturb === undefined) expect(Object.keys(make().save() as object)).toEqual([]);
      else expect(encode(section, disturbed().save())).not.toEqual(encode(section, make().save()));
    });

    it('is like new after reset', () => {
      const device = disturbed();
      hammer(device, contract, new Random(2), 200);
      device.reset();
      expect(own(device.save())).toEqual(own(make().save()));
    });

    it('refuses every truncation and every extension of its state', () => {
      const bytes = encode(section, disturbed().save());
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => decode(section, bytes.subarray(0, length))).toThrow(AfterimageError);
      }
      expect(() => decode(section, Uint8Array.of(...bytes, 0))).toThrow(AfterimageError);
    });

    it('refuses damaged bytes or becomes a working device', () => {
      const bytes = encode(section, disturbed().save());
      const random = new Random(3);
      for (let round = 0; round < FLIPS; round += 1) {
        const damaged = bytes.slice();
        for (let flips = 1 + random.below(3); flips > 0; flips -= 1) {
          damaged[random.below(damaged.length)]! ^= 1 + random.below(255);
        }
        const device = unlessRefused(() => restore(decode(section, damaged)));
        if (device === undefined) continue;
        const state = device.save();
        expect(restore(decode(section, encode(section, state))).save()).toEqual(state);
        hammer(device, contract, random, 20);
        device.save();
      }
    });

    it('survives hostile register accesses and still saves and restores', () => {
      for (const seed of [11, 12, 13]) {
        const device = make();
        hammer(device, contract, new Random(seed), ACCESSES);
        const state = device.save();
        expect(restore(decode(section, encode(section, state))).save()).toEqual(state);
        device.reset();
        expect(own(device.save())).toEqual(own(make().save()));
      }
    });
  });
}

/** Random accesses of any width at any offset; every value read must fit its width. */
function hammer<S, D extends MmioDevice & Saves<S>>(
  device: D,
  contract: DeviceContract<S, D>,
  random: Random,
  accesses: number,
): void {
  for (let i = 0; i < accesses; i += 1) {
    const offset =
      contract.offsets !== undefined && random.below(4) > 0
        ? random.pick(contract.offsets)
        : random.below(contract.window);
    const width = random.pick(WIDTHS);
    if (random.below(2) === 0) {
      const value = device.read(offset, width);
      const limit = width === 8 ? 2 ** 53 : 2 ** (8 * width);
      if (!Number.isInteger(value) || value < 0 || value >= limit) {
        expect.fail(`seed ${random.seed}, access ${i}: read of ${width} bytes at ${offset} gave ${value}`);
      }
    } else {
      const any = random.below(2) === 0 ? random.pick(VALUES) : random.below(2 ** 32);
      device.write(offset, width, width === 8 ? any : any % 2 ** (8 * width));
    }
  }
}

function unlessRefused<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof AfterimageError && (error.kind === 'corrupt' || error.kind === 'unsupported'))
      return undefined;
    throw error;
  }
}
