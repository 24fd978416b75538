// What a command prints, out of what the console shows: between two markers, as it comes.
import { withoutEscapes } from './machine-stop.ts';

/** Longest escape sequence that is waited for the end of. */
const LONGEST_ESCAPE = 200;
const ESCAPE = '\u001b';

export class ExecOutput {
  readonly #from: string;
  readonly #to: string;
  readonly #end: RegExp;
  readonly #decoder = new TextDecoder();
  #started = false;
  #rest = '';
  #status: number | undefined;

  /** `from` is printed on a line of its own before the output, `to` right behind it, with the status. */
  constructor(from: string, to: string) {
    this.#from = `${from}\r\n`;
    this.#to = `${to} `;
    this.#end = new RegExp(`${to} (\\d{1,3})\\r?\\n`);
  }

  get started(): boolean {
    return this.#started;
  }

  /** Of the command, when it has ended. */
  get status(): number | undefined {
    return this.#status;
  }

  /** What of the output is certain by now, with the guest's line ends. */
  feed(bytes: Uint8Array): string {
    if (this.#status !== undefined) return '';
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    if (!this.#started) {
      const at = this.#rest.indexOf(this.#from);
      if (at < 0) {
        this.#rest = this.#rest.slice(-this.#from.length);
        return '';
      }
      this.#started = true;
      this.#rest = this.#rest.slice(at + this.#from.length);
    }
    const end = this.#end.exec(this.#rest);
    if (end !== null) this.#status = Number(end[1]);
    const sure = end?.index ?? this.#rest.length - this.#undecided();
    const text = this.#rest.slice(0, sure);
    this.#rest = this.#rest.slice(sure);
    return withoutEscapes(text).replaceAll('\r\n', '\n');
  }

  /** Characters at the end that may turn out to be the marker, an escape sequence or a line end. */
  #undecided(): number {
    const text = this.#rest;
    const at = text.lastIndexOf(this.#to);
    // Only its number and line end can be missing.
    if (at >= 0 && text.length - at < this.#to.length + 6) return text.length - at;
    for (let length = Math.min(text.length, this.#to.length - 1); length > 0; length -= 1) {
      if (this.#to.startsWith(text.slice(-length))) return length;
    }
    const opened = text.lastIndexOf(ESCAPE);
    const open =
      opened >= 0 && text.length - opened < LONGEST_ESCAPE && withoutEscapes(text.slice(opened)).includes(ESCAPE);
    if (open) return text.length - opened;
    return text.endsWith('\r') ? 1 : 0;
  }
}
