/** Characters of console output that a match can span. Long enough for a screen, short enough to search each time. */
const WINDOW = 16 * 1024;

/** Looks for an expression in console output, wherever the output is cut into chunks. */
export class ConsoleWatch {
  readonly #expression: RegExp;
  readonly #decoder = new TextDecoder();
  #text = '';

  constructor(expression: RegExp) {
    this.#expression = expression;
  }

  /** Whether the expression has been seen, now that these bytes are there too. */
  feed(bytes: Uint8Array): boolean {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const seen = this.#expression.test(this.#text);
    this.#text = this.#text.slice(-WINDOW);
    return seen;
  }
}
