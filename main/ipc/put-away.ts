// Machines that the app has suspended by itself, at its end or before the computer slept: they go on by themselves, too.
// Those that the user has suspended wait for the user.
import * as v from 'valibot';
import type { Identity } from '../../engine/api/machine.ts';
import { identity } from '../../preload/contract/shapes.ts';
import type { App } from './app.ts';
import type { JsonFile } from './json-file.ts';
import { isRunning } from './menus.ts';

const kept = v.array(identity);

export class PutAway {
  readonly #file: JsonFile;
  #machines: readonly Identity[] = [];

  constructor(file: JsonFile) {
    this.#file = file;
  }

  /** As soon as it is suspended: whoever is killed afterwards has lost nothing. */
  async add(machine: Identity): Promise<void> {
    this.#machines = [...new Set([...(await this.list()), ...this.#machines, machine])];
    await this.#file.write(this.#machines);
  }

  async list(): Promise<readonly Identity[]> {
    const found = v.safeParse(kept, await this.#file.read());
    return found.success ? found.output : [];
  }

  async clear(): Promise<void> {
    this.#machines = [];
    await this.#file.write([]);
  }
}

/** Starts those that are still as the app left them. Returns the names of those that run now; what fails is told. */
export async function resumePutAway(app: App): Promise<readonly string[]> {
  const machines = await app.putAway.list();
  if (machines.length === 0) return [];
  const resumed = await Promise.all(
    machines.map(async machine => {
      const summary = app.machines.view().machines.find(({ id }) => id === machine);
      if (summary?.suspended === undefined || isRunning(summary)) return [];
      try {
        await app.machines.call(machine, 'start', {});
        return [summary.name];
      } catch (thrown) {
        const error = app.report(thrown, summary.name);
        const title = `${summary.name} was not started again`;
        app.notice({ level: 'error', title, text: error.message, machine, error });
        return [];
      }
    }),
  );
  await app.putAway.clear();
  return resumed.flat();
}
