// Machines of a few lines in the real engine's frame: for the tests of processes, threads, rings and flow control.
// What one does is said by the kernel command line, `MODE ARGUMENT`.
import { guestPhys, machineAddress } from '../../engine/base/addresses.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { HartMachine } from '../../engine/host/hart-machine.ts';
import type { MachineParts, RunState } from '../../engine/machine/parts.ts';

const running: RunState = { kind: 'running' };
const idle: RunState = { kind: 'idle', milliseconds: Number.POSITIVE_INFINITY };
const stopped = (reason: 'poweroff' | 'reset' | 'fail' | 'exit' | 'limit', code = 0): RunState => ({
  kind: 'stopped',
  reason,
  code,
});

/** Bytes that a device moves at once: small and odd, so that all borders are crossed. */
const CHUNK = 1021;

export class SmallMachine implements HartMachine {
  instructions = 0;
  readonly errors = { counts: { 'small: something': 2 } };
  readonly #parts: MachineParts;
  readonly #mode: string;
  readonly #argument: number;
  #restarts = 0;
  #slices = 0;
  #position = 0;
  #sum = 0;
  #pending = new Uint8Array(0);
  #outstanding = 0;
  #statuses: string[] = [];

  constructor(parts: MachineParts) {
    this.#parts = parts;
    const [mode = '', argument = '0'] = (parts.commandLine ?? '').split(' ');
    this.#mode = mode;
    this.#argument = Number(argument);
    if (mode === 'refuse')
      throw new AfterimageError('unsupported', 'Cannot use x as kernel: it is for another machine');
    if (mode === 'break-build') throw new TypeError('a mistake in the builder');
  }

  runSlice(): RunState {
    this.instructions += 1000;
    this.#slices += 1;
    switch (this.#mode) {
      case 'echo':
        return this.#echo();
      case 'flood':
        return this.#flood();
      case 'sum':
        return this.#addUp();
      case 'stop':
        return stopped('poweroff', this.#argument);
      case 'fail':
        return stopped('fail', this.#argument);
      case 'exit':
        return stopped('exit', this.#argument);
      case 'limit':
        return stopped('limit');
      case 'spin':
        return running;
      case 'sleep':
        return idle;
      case 'hang':
        // One slice to say so, from the next there is no way back.
        if (this.#slices === 1) {
          this.#parts.console.write(Uint8Array.of(0x68));
          return running;
        }
        for (;;) this.#slices += 1;
      case 'break':
        throw new TypeError('a mistake in a device');
      case 'abort':
        process.kill(process.pid, 'SIGABRT');
        return idle;
      case 'restart':
        return this.#restarts < this.#argument ? stopped('reset') : stopped('poweroff', this.#restarts);
      case 'disk':
        return this.#useDisk();
      case 'trace':
        return this.#trace();
      default:
        return this.#hello();
    }
  }

  poll(): void {}

  restart(): void {
    this.#restarts += 1;
    this.#slices = 0;
  }

  pause(): void {
    this.#print('[paused]');
  }

  resume(): void {
    this.#print('[resumed]');
  }

  resize(columns: number, rows: number): void {
    this.#print(`[${rows}x${columns}]`);
  }

  signature(): string {
    return '00000001\n00000002\n';
  }

  /** Greets once, then echoes; a line `off` powers off. */
  #hello(): RunState {
    if (this.#slices === 1) this.#print(`hello from ${this.#parts.commandLine}\r\n# `);
    return this.#echo();
  }

  #echo(): RunState {
    const { console } = this.#parts;
    if (this.#pending.length === 0) {
      const bytes = new Uint8Array(CHUNK);
      this.#pending = bytes.subarray(0, console.read(bytes));
      if (Buffer.from(this.#pending).includes('off\n') || Buffer.from(this.#pending).includes('off\r')) {
        return stopped('poweroff', 0);
      }
    }
    const written = console.write(this.#pending);
    this.#pending = this.#pending.subarray(written);
    return written === 0 ? idle : running;
  }

  /** Prints so many bytes of a pattern, then powers off. */
  #flood(): RunState {
    const length = Math.min(CHUNK, this.#argument - this.#position);
    if (length === 0) return stopped('poweroff');
    const bytes = Uint8Array.from({ length }, (_, i) => (this.#position + i) % 251);
    const written = this.#parts.console.write(bytes);
    this.#position += written;
    return written === 0 ? idle : running;
  }

  /** Takes so many bytes, prints their sum and powers off. */
  #addUp(): RunState {
    const bytes = new Uint8Array(CHUNK);
    const count = this.#parts.console.read(bytes);
    for (let i = 0; i < count; i++) this.#sum = (this.#sum * 31 + bytes[i]!) % 1_000_000_007;
    this.#position += count;
    if (this.#position < this.#argument) return count === 0 ? idle : running;
    this.#print(`${this.#position} ${this.#sum}\n`);
    return stopped('poweroff');
  }

  /** Writes a block to each disk, flushes, reads it back elsewhere, prints what came of it. */
  #useDisk(): RunState {
    const memory = new Uint8Array(this.#parts.memory.buffer);
    const submit = (kind: 'read' | 'write' | 'flush', address: number) => {
      this.#outstanding += 1;
      const segments = kind === 'flush' ? [] : [{ address: machineAddress(address), length: 512 }];
      const length = kind === 'flush' ? 0 : 512;
      for (const disk of this.#parts.disks) {
        disk.submit({ id: this.#slices, kind, offset: guestPhys(512), length, segments }, status => {
          this.#outstanding -= 1;
          this.#statuses.push(`${kind} ${status}`);
        });
      }
    };
    if (this.#outstanding > 0) return idle;
    if (this.#statuses.length === 0) {
      memory.fill(0x5a, 4096, 4096 + 512);
      submit('write', 4096);
    } else if (this.#statuses.length === 1) {
      submit('flush', 0);
    } else if (this.#statuses.length === 2) {
      submit('read', 8192);
    } else {
      this.#print(`${this.#statuses.join(', ')}, ${memory[8192]?.toString(16)}\n`);
      return stopped('poweroff');
    }
    return running;
  }

  #trace(): RunState {
    this.#parts.trace?.(`line ${this.#slices}\n`);
    return this.#slices < this.#argument ? running : stopped('poweroff');
  }

  #print(text: string): void {
    this.#parts.console.write(Buffer.from(text));
  }
}
