import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { DiskCommand, DiskEvent, DiskResult } from '../../engine/api/disk.ts';
import { AfterimageError } from '../../engine/base/errors.ts';

const ENTRY = new URL('../../engine/host/disk-process.ts', import.meta.url);
const LAST_WORDS = 4096;

/** Has a process do one disk command, so that no image is parsed here. */
export function runDisk(command: DiskCommand, progress: (done: number, total: number) => void): Promise<DiskResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(ENTRY), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
    let lastWords = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-LAST_WORDS);
    });
    child.on('message', message => {
      const event = message as DiskEvent;
      if (event.kind === 'progress') progress(event.done, event.total);
      else if (event.kind === 'done') resolve(event.result);
      else reject(AfterimageError.fromPlain(event.error));
    });
    child.on('error', reject);
    // After `done` or `failed` this changes nothing.
    child.on('close', (code, signal) => {
      const message = `The disk command ended unexpectedly (${signal ?? `status ${code}`})`;
      reject(new AfterimageError('internal', message, { lastWords: lastWords.trim().split('\n').at(-1) }));
    });
    child.send(command, () => {});
  });
}
