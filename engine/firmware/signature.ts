import { AfterimageError } from '../base/errors.ts';

/** Bytes per line of a signature. */
export type SignatureGranularity = 4 | 8 | 16;

/** Compliance programs' signatures are some KiB; more means that the symbols are wrong. */
const LONGEST_SIGNATURE = 16 * 2 ** 20;

/**
 * Where the signature lies, from the symbols of the program.
 *
 * @throws AfterimageError `unsupported` when there is none, `corrupt` when its bounds make no sense.
 */
export function signatureRange(symbols: ReadonlyMap<string, number>): { at: number; length: number } {
  const begin = symbols.get('begin_signature');
  const end = symbols.get('end_signature');
  if (begin === undefined || end === undefined) {
    throw new AfterimageError(
      'unsupported',
      'The program has no signature: it lacks the symbol begin_signature or end_signature; link it with both',
    );
  }
  if (end < begin || end - begin > LONGEST_SIGNATURE) {
    throw new AfterimageError(
      'corrupt',
      'The program has a signature that ends before it begins or is too long; check begin_signature and end_signature',
      { begin, end },
    );
  }
  return { at: begin, length: end - begin };
}

/**
 * The signature as compliance suites compare it: one line for each `granularity` bytes, which are read as one
 * little-endian number and printed in hexadecimal, most significant digit first. Bytes that the last line lacks are 0.
 */
export function formatSignature(bytes: Uint8Array, granularity: SignatureGranularity): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += granularity) {
    let line = '';
    for (let i = 0; i < granularity; i += 1) line = (bytes[at + i] ?? 0).toString(16).padStart(2, '0') + line;
    lines.push(`${line}\n`);
  }
  return lines.join('');
}
