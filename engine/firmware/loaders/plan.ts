import { AfterimageError, type ErrorKind } from '../../base/errors.ts';
import type { Window } from '../device-tree.ts';

/** A file that the user gave, wholly read. Its content is hostile until checked. */
export interface GuestFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What the user means a file to be; errors say so. */
export type FileRole = 'kernel' | 'firmware' | 'program' | 'initrd';

/** Bytes to put at a guest-physical address, followed by `zeroAfter` zero bytes. `bytes` is a view of the file. */
export interface LoadSegment {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly zeroAfter: number;
}

/** Segments lie in RAM and do not overlap. `entry` is the guest-physical address of the first instruction. */
export interface LoadPlan {
  readonly segments: readonly LoadSegment[];
  readonly entry: number;
  /** Guest-physical addresses of those symbols asked for that the file has. */
  readonly symbols?: ReadonlyMap<string, number>;
}

export const MIB = 2 ** 20;

/** Linux's kernels and QEMU's payloads start 2 MiB into RAM; below it is the firmware's place. */
export const KERNEL_OFFSET = 2 * MIB;

export function segmentEnd(segment: LoadSegment): number {
  return segment.at + segment.bytes.length + segment.zeroAfter;
}

/** One line: the file, the reason, what to do. */
export function refuse(file: GuestFile, role: FileRole, kind: ErrorKind, problem: Problem): never {
  const advice = problem.advice === '' ? '' : `; ${problem.advice}`;
  throw new AfterimageError(
    kind,
    `Cannot use ${printable(file.name)} as ${role}: ${problem.reason}${advice}`,
    { file: file.name, role, ...problem.context },
    problem.cause === undefined ? {} : { cause: problem.cause },
  );
}

export interface Problem {
  readonly reason: string;
  /** What to do; empty when the reason says it. */
  readonly advice: string;
  readonly context?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/** Refuses a file that needs memory up to `end`; says how much would be enough. */
export function refuseAsTooLarge(file: GuestFile, role: FileRole, memory: Window, end: number): never {
  const enough = Math.ceil((end - memory.at) / MIB);
  return refuse(file, role, 'too-large', {
    reason: `it needs memory up to ${hex(end)}, and the machine's ${memory.size / MIB} MiB end at ${hex(memory.at + memory.size)}`,
    advice: `give the machine at least ${enough} MiB`,
    context: { enoughMiB: enough },
  });
}

/** The two segments that overlap, if any do. */
export function findOverlap(segments: readonly LoadSegment[]): [LoadSegment, LoadSegment] | undefined {
  const ordered = segments.toSorted((a, b) => a.at - b.at);
  for (const [index, segment] of ordered.entries()) {
    const next = ordered[index + 1];
    if (next !== undefined && segmentEnd(segment) > next.at) return [segment, next];
  }
  return undefined;
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** File names may hold line breaks and escape sequences; errors are one harmless line. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
