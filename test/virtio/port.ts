import type { ConsolePort } from '../../engine/devices/console-port.ts';

/** A port with bounded buffers that the test fills and empties. */
export class TestPort implements ConsolePort {
  readonly #input: number[] = [];
  readonly printed: number[] = [];
  room = 0;

  get available(): number {
    return this.#input.length;
  }

  type(bytes: Uint8Array): void {
    this.#input.push(...bytes);
  }

  read(into: Uint8Array): number {
    const bytes = this.#input.splice(0, into.length);
    into.set(bytes);
    return bytes.length;
  }

  write(from: Uint8Array): number {
    const count = Math.min(this.room, from.length);
    this.room -= count;
    this.printed.push(...from.subarray(0, count));
    return count;
  }
}
