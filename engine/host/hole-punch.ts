// Giving the space of a file's range back to the host. Node has no call for it, so util-linux's `fallocate` does it where
// it is installed: Linux only. It gets the open descriptor, so a file that is renamed meanwhile is still the right one.
import { spawn } from 'node:child_process';

/** Less is not worth a process; it stays in the file and is used again. */
const LEAST_BYTES = 64 * 1024;
/** Ranges that one process deals with, and so the length of its command line. */
const MOST_RANGES = 256;

const SCRIPT =
  'while [ $# -gt 0 ]; do fallocate --punch-hole --offset "$1" --length "$2" /proc/self/fd/3 || exit 1; shift 2; done';

interface Waiting {
  readonly at: number;
  readonly length: number;
  readonly done: (punched: boolean) => void;
}

/** Punches holes into one open file, many in one go. */
export class HolePuncher {
  readonly #descriptor: number;
  readonly #waiting: Waiting[] = [];
  #running = false;
  /** Undefined until it has been tried. */
  #able: boolean | undefined = process.platform === 'linux' ? undefined : false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Whether the host gives space back; undefined when that has not been tried. */
  get able(): boolean | undefined {
    return this.#able;
  }

  /** As `HostFile.punch`. */
  punch(at: number, length: number): Promise<boolean> {
    if (this.#able === false || length < LEAST_BYTES) return Promise.resolve(false);
    return new Promise(done => {
      this.#waiting.push({ at, length, done });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_RANGES);
      const punched = this.#able !== false && (await punchAll(this.#descriptor, batch));
      // One that fails after others succeeded is the file's trouble, not the host's inability.
      this.#able ??= punched;
      for (const { done } of batch) done(punched);
    }
    this.#running = false;
  }
}

function punchAll(descriptor: number, ranges: readonly Waiting[]): Promise<boolean> {
  const words = ranges.flatMap(({ at, length }) => [String(at), String(length)]);
  return new Promise(resolve => {
    const child = spawn('sh', ['-c', SCRIPT, 'sh', ...words], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    child.on('error', () => resolve(false));
    child.on('exit', code => resolve(code === 0));
  });
}
