// What is known of machines beside their records: sizes, the last checkpoint, what their consoles showed. Kept over
// restarts, so that the library shows it without a process for each machine.
import * as v from 'valibot';
import type { ScreenText } from '../../engine/api/checkpoints.ts';
import type { LastCheckpoint } from '../../preload/contract/library.ts';
import { checkpointName, count, identity, screenText } from '../../preload/contract/shapes.ts';
import type { JsonFile } from './json-file.ts';

const facts = v.object({
  bytes: v.exactOptional(count),
  checkpoints: v.exactOptional(count),
  lastCheckpoint: v.exactOptional(v.object({ id: identity, name: checkpointName, takenAt: v.number() })),
  screen: v.exactOptional(screenText),
});

export interface MachineFacts {
  readonly bytes?: number;
  readonly checkpoints?: number;
  readonly lastCheckpoint?: LastCheckpoint;
  readonly screen?: ScreenText;
}

const WRITE_MILLISECONDS = 2000;
/** Machines that are gone are forgotten when there would be more. */
const MOST = 500;

export class KnownFacts {
  readonly #file: JsonFile;
  readonly #known: Map<string, MachineFacts>;
  #timer: NodeJS.Timeout | undefined;

  private constructor(file: JsonFile, known: Map<string, MachineFacts>) {
    this.#file = file;
    this.#known = known;
  }

  static async open(file: JsonFile): Promise<KnownFacts> {
    const value = await file.read();
    const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
    const known = entries.flatMap(([machine, one]) => {
      const result = v.safeParse(facts, one);
      return v.is(identity, machine) && result.success ? [[machine, result.output] as const] : [];
    });
    return new KnownFacts(file, new Map(known));
  }

  get(machine: string): MachineFacts {
    return this.#known.get(machine) ?? {};
  }

  /** Undefined values take a fact away. */
  set(machine: string, change: { readonly [Name in keyof MachineFacts]: MachineFacts[Name] | undefined }): void {
    const merged = Object.entries({ ...this.#known.get(machine), ...change }).filter(
      ([, value]) => value !== undefined,
    );
    this.#known.delete(machine);
    this.#known.set(machine, Object.fromEntries(merged));
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value!);
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_MILLISECONDS).unref();
  }

  forget(machine: string): void {
    this.#known.delete(machine);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Only a convenience: the next look finds the same again.
    await this.#file.write(Object.fromEntries(this.#known)).catch(() => {});
  }
}
