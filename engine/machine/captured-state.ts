import type { Section } from '../state/section.ts';
import { StateTreeWriter } from '../state/tree.ts';

/**
 * State as it was at one instant, encoded later: copying a few hundred values is what a checkpoint's pause can afford
 * (C2), checking and encoding them is for after it.
 */
export class CapturedState {
  readonly #puts: ((writer: StateTreeWriter) => void)[] = [];

  /** Takes over the value, which nothing may change afterwards. */
  put<S>(path: string, table: Section<S>, value: S): void {
    this.#puts.push(writer => writer.put(path, table, value));
  }

  /** The same for a value that is built when it is encoded, of what was copied before. */
  putLater<S>(path: string, table: Section<S>, build: () => S): void {
    this.#puts.push(writer => writer.put(path, table, build()));
  }

  /** The tree of sections. */
  encode(): Uint8Array {
    const writer = new StateTreeWriter();
    for (const put of this.#puts) put(writer);
    return writer.finish();
  }
}
