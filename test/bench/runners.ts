// Runs a guest in ours and in QEMU, each as a whole process, and times it.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { processorShare } from '../framework/processor-time.ts';

const cli = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');
/** Nothing timed here takes nearly as long; a hang must end the bench, not stop it. */
const LONGEST_RUN = 180_000;

export interface Timing {
  readonly milliseconds: number;
  /** Standard output, as far as it was read. */
  readonly output: string;
}

/** Runs a command until it exits, or until its output has `until`, and then ends it. */
export function time(command: string, words: readonly string[], until?: string): Promise<Timing> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    // What QEMU says when it is ended is not news.
    const child = spawn(command, words, { stdio: ['pipe', 'pipe', until === undefined ? 'inherit' : 'ignore'] });
    let output = '';
    let seenAt: number | undefined;
    const fail = (message: string) =>
      reject(new AfterimageError('internal', message, { command, output: output.slice(-500) }));
    const alarm = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`${path.basename(command)} did not finish`);
    }, LONGEST_RUN);
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString('latin1');
      if (until === undefined || seenAt !== undefined || !output.includes(until)) return;
      seenAt = performance.now();
      child.kill();
    });
    child.on('error', reject);
    child.on('exit', code => {
      clearTimeout(alarm);
      const end = seenAt ?? performance.now();
      if (until === undefined ? code === 0 : seenAt !== undefined) resolve({ milliseconds: end - begin, output });
      else fail(`${path.basename(command)} ended with ${code}`);
    });
  });
}

export const QEMU = 'qemu-system-riscv64';
const QEMU_PLAIN = ['-nographic', '-monitor', 'none'];

export function oursOnElf(elf: string): Promise<Timing> {
  return time(process.execPath, [cli, 'run', '--json', '--elf', elf]);
}

export function qemuOnElf(elf: string): Promise<Timing> {
  return time(QEMU, ['-M', 'virt', ...QEMU_PLAIN, '-serial', 'none', '-bios', elf]);
}

export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
}

function oursWords({ kernel, initrd, append }: BootFiles): string[] {
  return [cli, 'run', '--memory', '512M', '--kernel', kernel, '--initrd', initrd, '--append', append];
}

function qemuWords({ kernel, initrd, append }: BootFiles): string[] {
  const files = ['-kernel', kernel, '-initrd', initrd, '-append', append];
  return ['-M', 'virt', '-m', '512M', ...QEMU_PLAIN, '-serial', 'stdio', ...files];
}

export function oursToShell(files: BootFiles, prompt: string): Promise<Timing> {
  return time(process.execPath, oursWords(files), prompt);
}

export function qemuToShell(files: BootFiles, prompt: string): Promise<Timing> {
  return time(QEMU, qemuWords(files), prompt);
}

const QUIET: SpawnOptions = { stdio: ['pipe', 'pipe', 'ignore'] };
export const startOurs = (files: BootFiles): ChildProcess => spawn(process.execPath, oursWords(files), QUIET);
export const startQemu = (files: BootFiles): ChildProcess => spawn(QEMU, qemuWords(files), QUIET);

/** Time for the guest to come to rest behind its prompt, and time over which it is watched. */
const SETTLING = 3000;
const WATCHING = 15_000;

/** Percent of a processor that an idle guest costs its host. Ends the guest. */
export async function idleShare(child: ChildProcess, prompt: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    let output = '';
    child.stdout!.on('data', (bytes: Buffer) => {
      output = (output + bytes.toString('latin1')).slice(-4096);
      if (output.includes(prompt)) resolve();
    });
    child.on('exit', () => reject(new AfterimageError('internal', 'The guest ended before its prompt')));
  });
  await new Promise(resolve => setTimeout(resolve, SETTLING));
  const share = await processorShare(child.pid!, WATCHING);
  child.kill();
  return share * 100;
}
