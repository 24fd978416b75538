// Main module of the process that serves one `afterimage disk` command, started by `child_process.fork`.
import type { DiskEvent } from '../api/disk.ts';
import { AfterimageError } from '../base/errors.ts';
import { checkDiskCommand } from './disk-command-checks.ts';
import { runDiskCommand } from './disk-commands.ts';

function send(event: DiskEvent): Promise<void> {
  return new Promise(resolve => {
    if (process.connected) process.send?.(event, () => resolve());
    else resolve();
  });
}

async function serve(message: unknown): Promise<void> {
  try {
    const command = checkDiskCommand(message);
    const result = await runDiskCommand(command, (done, total) => void send({ kind: 'progress', done, total }));
    await send({ kind: 'done', result });
  } catch (thrown) {
    await send({ kind: 'failed', error: AfterimageError.from(thrown).toPlain() });
  }
  process.exit(0);
}

// The parent decides what its signals mean; without it nobody wants the result.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(1));
process.once('message', message => void serve(message));
