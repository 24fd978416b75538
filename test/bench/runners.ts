// Runs a guest in ours and in QEMU, each as a whole process, and times it.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';

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

export function oursToShell({ kernel, initrd, append }: BootFiles, prompt: string): Promise<Timing> {
  const files = ['--kernel', kernel, '--initrd', initrd, '--append', append];
  return time(process.execPath, [cli, 'run', '--memory', '512M', ...files], prompt);
}

export function qemuToShell({ kernel, initrd, append }: BootFiles, prompt: string): Promise<Timing> {
  const files = ['-kernel', kernel, '-initrd', initrd, '-append', append];
  return time(QEMU, ['-M', 'virt', '-m', '512M', ...QEMU_PLAIN, '-serial', 'stdio', ...files], prompt);
}
