// A console that prints what a guest might, echoes what is typed, and counts what flow control says.
import type { ConsoleSize } from '../../../../engine/api/settings.ts';
import { CONSOLE_WINDOW, type ConsolePort } from '../../../../preload/contract/console.ts';
import type { MachineSummary } from '../../../../preload/contract/library.ts';
import { BOOT_OUTPUT } from './scripted-library.ts';

export class ScriptedConsole implements ConsolePort {
  /** Everything that was typed. */
  typed = '';
  size: ConsoleSize | undefined;
  sent = 0;
  takenBytes = 0;
  /** Most bytes that were ever on the way. */
  mostAhead = 0;
  #output: ((bytes: Uint8Array) => void) | undefined;
  #state: ((state: 'running' | 'idle') => void) | undefined;
  #waiting: (() => void) | undefined;
  readonly #machine: MachineSummary;

  constructor(machine: MachineSummary) {
    this.#machine = machine;
  }

  onOutput(listener: (bytes: Uint8Array) => void): void {
    this.#output = listener;
    if (this.#machine.screen !== undefined) this.print(BOOT_OUTPUT);
  }

  onState(listener: (state: 'running' | 'idle') => void): void {
    this.#state = listener;
    listener(this.#machine.status.state === 'off' ? 'idle' : 'running');
  }

  setState(state: 'running' | 'idle'): void {
    this.#state?.(state);
  }

  taken(count: number): void {
    this.takenBytes += count;
    this.#waiting?.();
  }

  async write(bytes: Uint8Array): Promise<void> {
    const text = new TextDecoder().decode(bytes);
    this.typed += text;
    this.print(text.replaceAll('\r', '\r\n\x1b[1;32mroot@afterimage\x1b[0m:\x1b[1;34m~\x1b[0m# '));
  }

  resize(size: ConsoleSize): void {
    this.size = size;
  }

  close(): void {}

  print(text: string): void {
    this.#send(new TextEncoder().encode(text));
  }

  /** A flood of this many bytes, as far ahead as the window allows. Fulfilled when all was shown. */
  async flood(bytes: number): Promise<void> {
    const line = `${'0123456789abcdef'.repeat(4)} \x1b[32mok\x1b[0m\r\n`;
    const chunk = new TextEncoder().encode(line.repeat(Math.ceil(16_384 / line.length)));
    const end = this.takenBytes + (this.sent - this.takenBytes) + bytes;
    while (this.sent < end) {
      if (this.sent - this.takenBytes + chunk.length > CONSOLE_WINDOW) await this.#roomAgain();
      else this.#send(chunk);
    }
    while (this.takenBytes < this.sent) await this.#roomAgain();
  }

  #roomAgain(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting = resolve;
    });
  }

  #send(bytes: Uint8Array): void {
    this.sent += bytes.length;
    this.mostAhead = Math.max(this.mostAhead, this.sent - this.takenBytes);
    this.#output?.(bytes);
  }
}
