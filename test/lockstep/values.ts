// Operand values at which arithmetic goes wrong first.
import type { Random } from '../contract/random.ts';

// biome-ignore format: a table
const INTEGERS: readonly bigint[] = [
  0n, 1n, 2n, 3n, -1n, -2n, 7n, 8n, 31n, 32n, 33n, 63n, 64n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn,
  0x7fffffffn, 0x80000000n, -0x80000000n, 0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, -0x8000000000000000n,
  -0x7fffffffffffffffn, 0x5555555555555555n, -0x5555555555555556n, 0x00ff00ff00ff00ffn, 0x0123456789abcdefn,
  0x8000000000000001n, 0xffffffff00000000n, 0xffffffff80000000n, 0xffffffff7fffffffn,
];

/** binary64 encodings: zeros, subnormals, limits of formats and of integers, infinities, NaNs. */
// biome-ignore format: a table
const DOUBLES: readonly bigint[] = [
  0x0000000000000000n, 0x8000000000000000n, 0x0000000000000001n, 0x8000000000000001n, 0x000fffffffffffffn,
  0x0010000000000000n, 0x8010000000000000n, 0x7fefffffffffffffn, 0xffefffffffffffffn, 0x7ff0000000000000n,
  0xfff0000000000000n, 0x7ff8000000000000n, 0x7ff0000000000001n, 0xfff8000000000001n, 0xfff4000000000000n,
  0x3ff0000000000000n, 0xbff0000000000000n, 0x3fe0000000000000n, 0xbfe0000000000000n, 0x3ff8000000000000n,
  0x4000000000000000n, 0x3fefffffffffffffn, 0x3ff0000000000001n, 0x3ca0000000000000n, 0x4330000000000000n,
  0x41dfffffffc00000n, 0x41e0000000000000n, 0xc1e0000000000000n, 0xc1e0000000200000n, 0x41efffffffe00000n,
  0x41f0000000000000n, 0x43e0000000000000n, 0xc3e0000000000000n, 0x43efffffffffffffn, 0x43f0000000000000n,
  0x36a0000000000000n, 0x380fffffffffffffn, 0x3810000000000000n, 0x47efffffe0000000n, 0x47effffff0000000n,
  0x47f0000000000000n, 0x4340000000000001n, 0x3690000000000000n, 0x40590ccccccccccdn, 0xbfb999999999999an,
];

// biome-ignore format: a table
const SINGLES: readonly number[] = [
  0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff,
  0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffc00001, 0xffa00000, 0x3f800000, 0xbf800000, 0x3f000000,
  0xbf000000, 0x3fc00000, 0x40000000, 0x3f7fffff, 0x3f800001, 0x33800000, 0x4b000000, 0x4effffff, 0x4f000000,
  0xcf000000, 0xcf000001, 0x4f7fffff, 0x4f800000, 0x5effffff, 0x5f000000, 0xdf000000, 0x5f7fffff, 0x5f800000,
  0x4b800001, 0x42c80000, 0xbdcccccd,
];

const BOX = 0xffffffff00000000n;

function wide(random: Random): bigint {
  return (BigInt(random.word()) << 32n) | BigInt(random.word());
}

/** A value for an integer register: an edge, a neighbour of a power of two, or any bits. */
export function integerValue(random: Random): bigint {
  switch (random.below(4)) {
    case 0:
    case 1:
      return BigInt.asUintN(64, random.pick(INTEGERS));
    case 2:
      return BigInt.asUintN(64, (1n << BigInt(random.below(64))) + BigInt(random.below(3) - 1));
    default:
      return wide(random);
  }
}

/** A fraction of some bits: any, or one whose few bits at either end make results fall on and beside halves. */
function fraction(random: Random, width: number): bigint {
  const all = (1n << BigInt(width)) - 1n;
  const part = BigInt(random.below(width));
  switch (random.below(4)) {
    case 0:
      return wide(random) & all;
    case 1:
      return 1n << part;
    case 2:
      return all ^ ((1n << part) - 1n);
    default:
      return (wide(random) & all & ~((1n << part) - 1n)) | BigInt(random.below(2));
  }
}

/** A value for a floating-point register: a double, a boxed single, or a single that is not properly boxed. */
export function floatValue(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
    case 1:
      return random.pick(DOUBLES);
    case 2:
    case 3:
      return BOX | BigInt(random.pick(SINGLES));
    case 4: {
      // Any single, or one of moderate size.
      if (random.below(2)) return BOX | BigInt(random.word());
      return BOX | BigInt(((random.below(2) << 31) | ((100 + random.below(54)) << 23)) >>> 0) | fraction(random, 23);
    }
    case 5:
      return (BigInt(random.word()) << 32n) | BigInt(random.pick(SINGLES));
    case 6: {
      // A double of moderate size, so that sums and products are neither huge nor tiny.
      const exponent = BigInt(1023 - 60 + random.below(120));
      return (BigInt(random.below(2)) << 63n) | (exponent << 52n) | fraction(random, 52);
    }
    default:
      return wide(random);
  }
}
