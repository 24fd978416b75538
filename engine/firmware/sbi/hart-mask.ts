/** The base that stands for every hart. */
const ALL_HARTS = 2n ** 64n - 1n;

/**
 * The harts that a mask and its base name (SBI 2.0, 3.1): bit `i` is hart `base + i`. Undefined when one of them is
 * not there.
 */
export function hartsOf(mask: bigint, base: bigint, harts: number): readonly number[] | undefined {
  if (base === ALL_HARTS) return Array.from({ length: harts }, (_, hart) => hart);
  const named: number[] = [];
  for (let bit = 0n; mask >> bit !== 0n; bit += 1n) {
    if (((mask >> bit) & 1n) === 0n) continue;
    if (base + bit >= BigInt(harts)) return undefined;
    named.push(Number(base + bit));
  }
  return named;
}
