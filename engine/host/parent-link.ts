import type { Command, EngineEvent } from '../api/messages.ts';

/** The engine process's link to whoever started it: `child_process.fork` now, Electron's `utilityProcess` likewise. */
export interface ParentLink {
  /** In order, never blocking. Without effect when the parent is gone. */
  send(event: EngineEvent): void;
  /** Called once, before anything else: where commands go, and what to do when the parent is gone. */
  listen(handlers: { command(command: Command): void; gone(): void }): void;
  /** Resolves when everything sent so far has been handed to the host. */
  flushed(): Promise<void>;
}

/** The link of a process started with `fork` and `serialization: 'advanced'`. */
export class ForkLink implements ParentLink {
  readonly #process: NodeJS.Process;
  #pending = 0;
  #whenFlushed: (() => void)[] = [];

  constructor(ownProcess: NodeJS.Process) {
    this.#process = ownProcess;
  }

  send(event: EngineEvent): void {
    if (!this.#process.connected) return;
    this.#pending += 1;
    // The error is that the parent is gone, which `disconnect` reports.
    this.#process.send?.(event, () => {
      this.#pending -= 1;
      if (this.#pending > 0) return;
      for (const resolve of this.#whenFlushed.splice(0)) resolve();
    });
  }

  listen(handlers: { command(command: Command): void; gone(): void }): void {
    this.#process.on('message', message => handlers.command(message as Command));
    this.#process.on('disconnect', () => handlers.gone());
  }

  async flushed(): Promise<void> {
    if (this.#pending === 0 || !this.#process.connected) return;
    await new Promise<void>(resolve => {
      this.#whenFlushed.push(resolve);
      this.#process.once('disconnect', resolve);
    });
  }
}
