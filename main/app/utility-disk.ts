// Disk commands in a utility process: images are not to be parsed in main.
import type { DiskCommand, DiskEvent, DiskResult } from '../../engine/api/disk.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { ElectronModule } from './electron.ts';

export interface DiskProcessModules {
  /** utility-entry.ts. */
  readonly entry: string;
  /** engine/host/disk-process.ts. */
  readonly module: string;
}

export function utilityDisks(
  { utilityProcess }: Pick<ElectronModule, 'utilityProcess'>,
  { entry, module }: DiskProcessModules,
): (command: DiskCommand) => Promise<DiskResult> {
  return command =>
    new Promise((resolve, reject) => {
      const child = utilityProcess.fork(entry, [module], {
        serviceName: 'Afterimage disk',
        stdio: 'ignore',
        execArgv: [],
      });
      child.on('message', (event: DiskEvent) => {
        if (event.kind === 'done') resolve(event.result);
        else if (event.kind === 'failed') reject(AfterimageError.fromPlain(event.error));
        else return;
        child.kill();
      });
      // An `error` that nobody hears would end the app; `exit` follows.
      child.on('error', () => {});
      // After an answer this changes nothing.
      child.once('exit', code => {
        reject(new AfterimageError('internal', `The disk's process ended unexpectedly (status ${code})`));
      });
      child.postMessage(command);
    });
}
