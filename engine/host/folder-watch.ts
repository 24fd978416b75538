// Does the machine's folder still belong to this process? A folder that somebody deletes or moves takes our lock with it.
// The machine then has nowhere to write: disks that are still open are files that nobody can find any more.
import type { MachineStatus } from '../api/machine.ts';
import { AfterimageError } from '../base/errors.ts';

/** A few system calls each time. */
const LOOK_MILLISECONDS = 1000;
/** Once more before it is believed, for file systems that hide what is being renamed. */
const AGAIN_MILLISECONDS = 200;

export class FolderWatch {
  #timer: NodeJS.Timeout | undefined;
  readonly #isThere: () => Promise<boolean>;
  readonly #lost: () => void;

  /** `lost` is called once at most. */
  constructor(isThere: () => Promise<boolean>, lost: () => void) {
    this.#isThere = isThere;
    this.#lost = lost;
    this.#lookIn(LOOK_MILLISECONDS, 0);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookIn(milliseconds: number, missed: number): void {
    const timer = setTimeout(() => {
      void this.#isThere().then(isThere => {
        if (this.#timer !== timer) return;
        if (isThere) this.#lookIn(LOOK_MILLISECONDS, 0);
        else if (missed === 0) this.#lookIn(AGAIN_MILLISECONDS, 1);
        else this.#lost();
      });
    }, milliseconds);
    this.#timer = timer.unref();
  }
}

/** Of a machine's host, what its end needs. */
export interface EndingHost {
  readonly folder: { readonly path: string; isThere(): Promise<boolean> };
  readonly power: { over(): Promise<void> };
  readonly finished: Promise<void>;
  fail(thrown: unknown): void;
  announce(event: { readonly event: 'status'; readonly status: MachineStatus }): void;
  status(): Promise<MachineStatus>;
  close(): Promise<void>;
}

/** The hart and the disks have so long to end, and so has what is still to be told. */
const STEP_MILLISECONDS = 2000;

/** Switches the machine off when its folder is gone, says so to everybody, and calls `over`, whatever else hangs. */
export function endWithFolder(host: EndingHost, over: () => void): void {
  const watch = new FolderWatch(
    () => host.folder.isThere(),
    () => void end(host).finally(over),
  );
  void host.finished.then(() => watch.close());
}

async function end(host: EndingHost): Promise<void> {
  const text = 'The folder of the machine was deleted or moved while it ran, so the machine was switched off';
  host.fail(new AfterimageError('missing', text, { folder: host.folder.path }));
  await inTime(host.power.over());
  await inTime(host.status().then(status => host.announce({ event: 'status', status })));
  await inTime(host.close());
}

async function inTime(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, STEP_MILLISECONDS);
  });
  // What fails now is no news: nothing can be written.
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
