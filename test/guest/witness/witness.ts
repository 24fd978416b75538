// The witness as a disk of its own: programs reach the default guest that way.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DiskSettings } from '../../../engine/api/settings.ts';

const SOURCE = path.join(import.meta.dirname, 'witness.c');
const CACHE = path.resolve(import.meta.dirname, '../../../node_modules/.cache/afterimage/witness');
const COMPILER = 'riscv64-linux-gnu-gcc';
const FLAGS = ['-O2', '-static', '-march=rv64gc', '-pthread', '-s'];

/** Compiles the witness when its source has changed; a read-only raw disk with the program from its first byte on. */
export function witnessDisk(): DiskSettings {
  const source = readFileSync(SOURCE);
  const hash = createHash('sha256').update(source).update(FLAGS.join()).digest('hex').slice(0, 16);
  const disk = path.join(CACHE, `${hash}.raw`);
  if (!existsSync(disk)) {
    mkdirSync(CACHE, { recursive: true });
    const program = path.join(CACHE, `${hash}.${process.pid}`);
    const { status, stderr } = spawnSync(COMPILER, [...FLAGS, '-o', program, SOURCE], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`The witness does not compile: ${stderr}`);
    const bytes = readFileSync(program);
    const padded = Buffer.alloc(Math.ceil(bytes.length / 4096) * 4096);
    bytes.copy(padded);
    writeFileSync(program, padded);
    renameSync(program, disk);
  }
  return { path: disk, format: 'raw', readonly: true, temporary: false };
}

/** At the guest's shell: puts the witness of a disk into the path. */
export const installWitness = (device: string): string =>
  `dd if=/dev/${device} of=/bin/witness bs=64k 2>/dev/null && chmod +x /bin/witness`;
