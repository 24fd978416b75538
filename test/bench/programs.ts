// The bare-metal programs that are timed, compiled from our sources with Debian's cross compiler.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';

const sources = path.join(import.meta.dirname, 'programs');
const output = path.join(import.meta.dirname, '../.cache/bench');
const COMPILER = '/usr/bin/riscv64-unknown-elf-gcc';

export type ProgramName = 'empty' | 'integer' | 'calls' | 'doubles';

function install(): void {
  if (existsSync(COMPILER)) return;
  const apt = (...words: string[]) =>
    spawnSync('apt-get', ['-qq', '-y', ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
  apt('update');
  apt('install', '--no-install-recommends', 'gcc-riscv64-unknown-elf');
  if (existsSync(COMPILER)) return;
  throw new AfterimageError('missing', 'The benchmarks need a compiler: sudo apt-get install gcc-riscv64-unknown-elf');
}

/** Path of the program's ELF file, compiled when its source is newer. */
export function compileProgram(name: ProgramName): string {
  install();
  mkdirSync(output, { recursive: true });
  const target = path.join(output, `${name}.elf`);
  const inputs = [`${name}.c`, 'start.S', 'link.ld'].map(file => path.join(sources, file));
  if (existsSync(target) && inputs.every(file => statSync(file).mtimeMs < statSync(target).mtimeMs)) return target;
  const [program, start, script] = inputs;
  const flags = [
    ...['-O2', '-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany', '-ffreestanding', '-ffp-contract=off'],
    ...['-nostdlib', '-nostartfiles', '-Wl,--no-warn-rwx-segments', '-T', script!, start!, program!, '-o', target],
  ];
  const result = spawnSync(COMPILER, flags, { encoding: 'utf8' });
  if (result.status !== 0) throw new AfterimageError('io', `The compiler refuses ${name}.c: ${result.stderr}`);
  return target;
}
