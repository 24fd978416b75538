// What a guest did to the terminal and did not undo: full-screen programs switch to another screen, hide the cursor or
// ask for mouse reports, and a machine that is switched off does not say goodbye.

const ESCAPE = 0x1b;
const DIGITS = /^\d{1,4}$/;

/** Modes that a terminal starts with: lines wrap, the cursor shows. */
const INITIALLY_ON: ReadonlySet<number> = new Set([7, 25]);
/** Far more modes than terminals have; a guest that invents some must not fill our memory. */
const MOST_MODES = 64;
/** Longest parameter text that is followed: ten modes in one sequence. */
const LONGEST = 50;

/** Follows `ESC [ ? MODES h` and `ESC [ ? MODES l` in console output. */
export class ScreenModes {
  readonly #changed = new Set<number>();
  #coloured = false;
  /** A sequence that has begun: undefined outside, otherwise what followed the escape character. */
  #sequence: string | undefined;

  feed(output: Uint8Array): void {
    if (this.#sequence === undefined && !output.includes(ESCAPE)) return;
    for (const byte of output) this.#take(byte);
  }

  /** The bytes that put the terminal back as it was; empty when nothing is out of place. */
  undo(): string {
    const modes = [...this.#changed].map(mode => `\x1b[?${mode}${INITIALLY_ON.has(mode) ? 'h' : 'l'}`);
    return modes.join('') + (this.#coloured ? '\x1b[0m' : '');
  }

  #take(byte: number): void {
    if (byte === ESCAPE) {
      this.#sequence = '';
      return;
    }
    if (this.#sequence === undefined) return;
    const text = this.#sequence + String.fromCharCode(byte);
    if (text === '[') this.#sequence = text;
    else if (text.startsWith('[') && /[0-9;?]/.test(text.at(-1)!) && text.length < LONGEST) this.#sequence = text;
    else this.#finish(text);
  }

  #finish(text: string): void {
    this.#sequence = undefined;
    const last = text.at(-1);
    if (last === 'm') this.#coloured = !['[m', '[0m'].includes(text);
    if (!text.startsWith('[?') || (last !== 'h' && last !== 'l')) return;
    for (const part of text.slice(2, -1).split(';')) {
      if (DIGITS.test(part)) this.#set(Number(part), last === 'h');
    }
  }

  #set(mode: number, on: boolean): void {
    if (on === INITIALLY_ON.has(mode)) this.#changed.delete(mode);
    else if (this.#changed.size < MOST_MODES) this.#changed.add(mode);
  }
}
