/** What a person typed: bytes for the guest, or a wish addressed to us. */
export type Keystrokes =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'quit' }
  | { readonly kind: 'detach' }
  | { readonly kind: 'help' };

const CTRL_A = 1;

export const KEYS_HELP = [
  'Ctrl-A x       power the machine off at once and quit',
  'Ctrl-A h       this help',
  'Ctrl-A Ctrl-A  send Ctrl-A to the guest',
];

export const KEYS_HELP_WITH_DETACH = ['Ctrl-A d       leave the console; the machine goes on', ...KEYS_HELP];

export interface EscapeKeysOptions {
  /** Whether there is something to come back to. */
  readonly detach: boolean;
}

/** Takes the keys that follow Ctrl-A out of what is typed; a key without meaning goes to the guest, with its Ctrl-A. */
export class EscapeKeys {
  readonly #options: EscapeKeysOptions;
  #afterCtrlA = false;

  constructor(options: EscapeKeysOptions = { detach: false }) {
    this.#options = options;
  }

  feed(typed: Uint8Array): Keystrokes[] {
    const result: Keystrokes[] = [];
    let bytes: number[] = [];
    const flush = () => {
      if (bytes.length > 0) result.push({ kind: 'bytes', bytes: Uint8Array.from(bytes) });
      bytes = [];
    };
    for (const byte of typed) {
      if (!this.#afterCtrlA) {
        if (byte === CTRL_A) this.#afterCtrlA = true;
        else bytes.push(byte);
        continue;
      }
      this.#afterCtrlA = false;
      switch (String.fromCharCode(byte).toLowerCase()) {
        case 'x':
          flush();
          result.push({ kind: 'quit' });
          break;
        case 'd':
          if (!this.#options.detach) {
            bytes.push(CTRL_A, byte);
            break;
          }
          flush();
          result.push({ kind: 'detach' });
          break;
        case 'h':
        case '?':
          flush();
          result.push({ kind: 'help' });
          break;
        case '\x01':
          bytes.push(CTRL_A);
          break;
        default:
          bytes.push(CTRL_A, byte);
      }
    }
    flush();
    return result;
  }
}
