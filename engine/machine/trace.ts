import type { Core } from '../core/core.ts';

const HEX = (value: bigint, digits: number): string => value.toString(16).padStart(digits, '0');

/**
 * The commit log: one line per retired instruction with privilege mode, pc, encoding and the registers it wrote, in the
 * manner of other RISC-V simulators' logs, so that two can be compared line by line:
 * `core   0: 3 0x0000000080000000 (0x00000297) x5  0x0000000080000000`.
 */
export class CommitLog {
  readonly #core: Core;
  readonly #write: (line: string) => void;
  readonly #integers = new BigUint64Array(32);
  readonly #floats = new BigUint64Array(32);

  constructor(core: Core, write: (line: string) => void) {
    this.#core = core;
    this.#write = write;
  }

  /** Runs one instruction (or takes one trap) and logs it. */
  step(): ReturnType<Core['run']> {
    const core = this.#core;
    const { pc, mode, instructionsRetired: before } = core;
    const encoding = core.encodingAt(pc);
    for (let i = 0; i < 32; i += 1) {
      this.#integers[i] = core.register(i);
      this.#floats[i] = core.floatRegister(i);
    }
    const result = core.run(1);
    if (core.instructionsRetired === before) return result;
    const width = encoding !== undefined && (encoding & 3) === 3 ? 8 : 4;
    let line = `core   0: ${mode} 0x${HEX(pc, 16)} (0x${encoding === undefined ? '?' : HEX(BigInt(encoding), width)})`;
    for (let i = 1; i < 32; i += 1) {
      const now = core.register(i);
      if (now !== this.#integers[i]) line += ` ${`x${i}`.padEnd(3)} 0x${HEX(now, 16)}`;
    }
    for (let i = 0; i < 32; i += 1) {
      const now = core.floatRegister(i);
      if (now !== this.#floats[i]) line += ` ${`f${i}`.padEnd(3)} 0x${HEX(now, 16)}`;
    }
    this.#write(`${line}\n`);
    return result;
  }
}
