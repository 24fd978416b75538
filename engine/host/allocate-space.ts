// Reserving space for a file's range. Node has no call for it, so util-linux's `fallocate` does it where it is installed, on
// the open descriptor as in hole-punch.ts: Linux only.
import { spawn } from 'node:child_process';
import { AfterimageError } from '../base/errors.ts';

/** Far more than its one line of complaint. */
const MOST_COMPLAINT = 4096;

/** False where the program is missing or the file system cannot do it. Errors: `no-space`. */
export async function allocateSpace(descriptor: number, at: number, length: number, path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const words = ['--offset', String(at), '--length', String(length), '/proc/self/fd/3'];
  const complaint = await new Promise<string | undefined>(resolve => {
    const stdio = ['ignore', 'ignore', 'pipe', descriptor] as const;
    const child = spawn('fallocate', words, { stdio: [...stdio], env: { ...process.env, LC_ALL: 'C' } });
    let text = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      if (text.length < MOST_COMPLAINT) text += bytes.toString('latin1');
    });
    child.on('error', () => resolve('there is no such program'));
    child.on('close', code => resolve(code === 0 ? undefined : text));
  });
  if (complaint === undefined) return true;
  if (/no space left|quota exceeded|file too large/i.test(complaint)) {
    throw new AfterimageError('no-space', 'The host has no room for the space that is to be reserved', {
      path,
      length,
    });
  }
  return false;
}
