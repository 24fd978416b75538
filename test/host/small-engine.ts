import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { EngineEvent } from '../../engine/api/messages.ts';
import { type MachineSettings, MEMORY_LIMITS } from '../../engine/api/settings.ts';
import { EngineClient, type EngineExit } from '../../main/cli/engine-client.ts';
import { SMALL_PROCESS } from './small-process-url.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Settings for a small machine in the given mode. */
export function smallSettings(mode: string, more: Partial<MachineSettings> = {}): MachineSettings {
  const kernel = path.join(temporaryFolder(), 'kernel');
  writeFileSync(kernel, 'any file will do');
  return { memory: MEMORY_LIMITS.smallest, boot: { kernel, append: mode }, disks: [], ...more };
}

/** An engine process with a small machine, and what it has said so far. */
export class SmallEngine {
  readonly client: EngineClient;
  readonly exit: Promise<EngineExit>;
  readonly events: EngineEvent[] = [];
  /** Whether output is acknowledged at once, as a quick terminal does. */
  acknowledge = true;
  output: Buffer[] = [];
  outputBytes = 0;
  accepted = 0;
  #waiters: { done: () => boolean; resolve: () => void }[] = [];
  #exited = false;

  constructor() {
    let ended: (exit: EngineExit) => void = () => {};
    this.exit = new Promise(resolve => {
      ended = resolve;
    });
    this.client = new EngineClient({
      entry: SMALL_PROCESS,
      onEvent: event => this.#hear(event),
      onExit: exit => {
        this.#exited = true;
        ended(exit);
        this.#look();
      },
    });
    onTestFinished(() => {
      if (!this.#exited) this.client.kill();
    });
  }

  start(mode: string, more: Partial<MachineSettings> = {}): void {
    this.client.send({ kind: 'start', settings: smallSettings(mode, more) });
  }

  /** Resolves when `done` is true, which is looked at after every event. */
  async until(what: string, done: () => boolean): Promise<void> {
    if (done()) return;
    await new Promise<void>(resolve => this.#waiters.push({ done, resolve }));
    if (!done()) throw new Error(`The engine ended before ${what}: ${JSON.stringify(this.events)}`);
  }

  async event<Kind extends EngineEvent['kind']>(kind: Kind): Promise<EngineEvent & { kind: Kind }> {
    await this.until(kind, () => this.events.some(event => event.kind === kind));
    return this.events.find(event => event.kind === kind) as EngineEvent & { kind: Kind };
  }

  get text(): string {
    return Buffer.concat(this.output).toString();
  }

  #hear(event: EngineEvent): void {
    if (event.kind === 'console-output') {
      this.output.push(Buffer.from(event.bytes));
      this.outputBytes += event.bytes.length;
      if (this.acknowledge) this.client.send({ kind: 'console-taken', count: event.bytes.length });
    } else if (event.kind === 'console-accepted') {
      this.accepted += event.count;
    } else {
      this.events.push(event);
    }
    this.#look();
  }

  #look(): void {
    const ready = this.#waiters.filter(waiter => this.#exited || waiter.done());
    this.#waiters = this.#waiters.filter(waiter => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve();
  }
}
