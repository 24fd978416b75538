// The worker threads that harts run on. Starting one takes longer than restoring a machine may (imports of some eighty
// modules), so that a spare one can wait, its modules loaded, for the next start or restore.
import { Worker } from 'node:worker_threads';
import type { HartTask } from './hart-thread.ts';

/** Workers of one main module, which calls `runHartThread`. */
export class HartWorkers {
  readonly #module: URL;
  #spare: Worker | undefined;

  constructor(module: URL) {
    this.#module = module;
  }

  /** Has a worker ready for the next `start`. It keeps no process alive. */
  prepare(): void {
    if (this.#spare !== undefined) return;
    const spare = this.#create();
    spare.unref();
    const forget = () => {
      if (this.#spare === spare) this.#spare = undefined;
    };
    // One that fails here fails again, and is heard, when it is started with a task.
    spare.on('error', forget);
    spare.on('exit', forget);
    this.#spare = spare;
  }

  /** A worker that runs the task. Who gets it listens to its `message`, `error` and `exit`. */
  start(task: HartTask): Worker {
    const worker = this.#spare ?? this.#create();
    this.#spare = undefined;
    worker.removeAllListeners('error');
    worker.removeAllListeners('exit');
    worker.ref();
    worker.postMessage(task, [task.commands]);
    return worker;
  }

  /** Ends the spare one. */
  async close(): Promise<void> {
    await this.#spare?.terminate();
  }

  #create(): Worker {
    return new Worker(this.#module, { name: 'hart' });
  }
}
