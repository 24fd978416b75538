// QEMU's own tools as judges of our images and makers of theirs.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ClusterCodecs } from '../../../engine/disk/qcow2/compressed.ts';

const run = promisify(execFile);

export async function qemuImg(...words: string[]): Promise<string> {
  return (await run('qemu-img', words, { maxBuffer: 2 ** 26 })).stdout;
}

/** Runs commands of qemu-io on an image. */
export async function qemuIo(file: string, commands: readonly string[], format = 'qcow2'): Promise<string> {
  const words = commands.flatMap(command => ['-c', command]);
  const { stdout } = await run('qemu-io', ['-f', format, ...words, file], { maxBuffer: 2 ** 26 });
  if (/failed|error/i.test(stdout)) throw new Error(`qemu-io: ${stdout}`);
  return stdout;
}

export interface CheckResult {
  readonly corruptions: number;
  readonly leaks: number;
  readonly errors: number;
}

/** What `qemu-img check` finds in an image. Throws when it cannot check it at all. */
export async function qemuCheck(file: string): Promise<CheckResult> {
  const words = ['check', '-f', 'qcow2', '--output=json', file];
  const output = await run('qemu-img', words).then(
    ({ stdout }) => stdout,
    // It ends with 2 for corruptions and 3 for leaks, and still says what they are.
    (error: { stdout?: string; code?: number }) => {
      if (error.stdout === undefined || !error.stdout.includes('{')) throw error;
      return error.stdout;
    },
  );
  const found = JSON.parse(output.slice(output.indexOf('{'))) as Record<string, number | undefined>;
  return { corruptions: found.corruptions ?? 0, leaks: found.leaks ?? 0, errors: found['check-errors'] ?? 0 };
}

/** The whole content of an image as QEMU reads it. */
export async function qemuContent(image: string, raw: string): Promise<void> {
  await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', image, raw);
}

export const codecs: ClusterCodecs = {
  inflate: (bytes, limit) => inflateRawSync(bytes, { maxOutputLength: limit }),
  unzstd: (bytes, limit) => zstdDecompressSync(bytes, { maxOutputLength: limit }),
  deflate: bytes => deflateRawSync(bytes, { windowBits: 12 }),
  zstd: bytes => zstdCompressSync(bytes),
};
