import type { GuestProgress } from '../../assets/guest/guest.ts';

/** Shows the steps of the first build: one changing line on a terminal, a line per step elsewhere. */
export class GuestProgressLine {
  readonly #stream: NodeJS.WriteStream;
  #step = '';
  #shown = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show({ step, done, total }: GuestProgress): void {
    if (this.#stream.isTTY) {
      const percent = done !== undefined && total ? ` ${Math.floor((100 * done) / total)} %` : '';
      const line = `afterimage: ${step}${percent}`.slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1));
      this.#stream.write(`\r\x1b[K${line}`);
      this.#shown = true;
    } else if (step !== this.#step) {
      this.#stream.write(`afterimage: ${step}\n`);
    }
    this.#step = step;
  }

  /** Leaves an empty line for what comes next. */
  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K');
    this.#shown = false;
  }
}
