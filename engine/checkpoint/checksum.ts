// XXH32: four lanes of 32-bit multiply and rotate, the fastest checksum with a public definition that JavaScript's
// 32-bit integers compute exactly. Definition: xxHash fast digest algorithm, version 0.1.1.

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

const round = (lane: number, word: number): number => {
  const sum = (lane + Math.imul(word, PRIME_2)) | 0;
  return Math.imul((sum << 13) | (sum >>> 19), PRIME_1);
};
const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** XXH32 of the bytes, as an unsigned number. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  // Words are read through a view, which must be aligned. Hosts are little-endian, as WebAssembly hosts in practice are.
  const aligned = (bytes.byteOffset & 3) === 0 ? bytes : bytes.slice();
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
  const length = aligned.length;
  let hash: number;
  let at = 0;
  if (length >= 16) {
    let a = (seed + PRIME_1 + PRIME_2) | 0;
    let b = (seed + PRIME_2) | 0;
    let c = seed | 0;
    let d = (seed - PRIME_1) | 0;
    const end = (length >>> 4) << 2;
    for (; at < end; at += 4) {
      a = round(a, words[at]!);
      b = round(b, words[at + 1]!);
      c = round(c, words[at + 2]!);
      d = round(d, words[at + 3]!);
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
  } else {
    hash = (seed + PRIME_5) | 0;
  }
  hash = (hash + length) | 0;
  for (; at < words.length; at += 1) {
    hash = Math.imul(rotate((hash + Math.imul(words[at]!, PRIME_3)) | 0, 17), PRIME_4);
  }
  for (let index = at * 4; index < length; index += 1) {
    hash = Math.imul(rotate((hash + Math.imul(aligned[index]!, PRIME_5)) | 0, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
