import { guestPhys } from '../base/addresses.ts';
import type { ConsolePort } from '../devices/console-port.ts';
import type { GuestErrors } from '../devices/device.ts';
import { answerToHost, consoleInput } from '../firmware/htif.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';

export interface HtifPortParts {
  readonly memory: MachineMemory;
  readonly console: ConsolePort;
  readonly errors: GuestErrors;
  /** Guest-physical addresses of the words; without `fromhost` answers are dropped. */
  readonly toHost: number;
  readonly fromHost: number | undefined;
}

/**
 * Looks after a bare-metal program's HTIF words. The program waits for its answers, so looking once in a slice is
 * enough; the words need no watch on stores.
 */
export class HtifPort {
  readonly #parts: HtifPortParts;
  readonly #word = new Uint8Array(8);
  readonly #view = new DataView(this.#word.buffer);
  /** What the program printed and the console had no room for. The program is held until it is out. */
  #unprinted: Uint8Array[] = [];
  #wantsInput = false;

  constructor(parts: HtifPortParts) {
    this.#parts = parts;
  }

  /** True while printed bytes wait for room in the console: the hart must not go on. */
  get blocked(): boolean {
    return this.#unprinted.length > 0;
  }

  /** Answers a request that stands in `tohost`; returns the exit code when the program has ended. */
  poll(): number | undefined {
    const { memory, errors } = this.#parts;
    this.#flush();
    if (this.#wantsInput) this.#deliverInput();
    const at = guestPhys(this.#parts.toHost);
    if (!memory.read(at, this.#word)) return undefined;
    const value = this.#view.getBigUint64(0, true);
    if (value === 0n) return undefined;
    const answer = answerToHost(value, {
      read: (from, into) => memory.read(guestPhys(from), into),
      write: (to, from) => memory.write(guestPhys(to), from),
      print: bytes => {
        this.#unprinted.push(bytes.slice());
        this.#flush();
      },
    });
    if (answer.exit !== undefined) return answer.exit;
    memory.write(at, new Uint8Array(8));
    if (answer.fromHost !== undefined) this.#answer(answer.fromHost);
    if (answer.wantsInput) this.#wantsInput = true;
    if (answer.guestError !== undefined) errors.report('htif', answer.guestError);
    return undefined;
  }

  #answer(value: bigint): void {
    if (this.#parts.fromHost === undefined) return;
    this.#view.setBigUint64(0, value, true);
    this.#parts.memory.write(guestPhys(this.#parts.fromHost), this.#word);
  }

  #deliverInput(): void {
    const byte = new Uint8Array(1);
    if (this.#parts.console.read(byte) === 0) return;
    this.#wantsInput = false;
    this.#answer(consoleInput(byte[0] ?? 0));
  }

  #flush(): void {
    while (this.#unprinted.length > 0) {
      const first = this.#unprinted[0]!;
      const taken = this.#parts.console.write(first);
      if (taken < first.length) {
        this.#unprinted[0] = first.subarray(taken);
        return;
      }
      this.#unprinted.shift();
    }
  }
}
