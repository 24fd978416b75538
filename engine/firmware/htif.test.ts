import { describe, expect, test } from 'vitest';
import { answerToHost, consoleInput, decodeToHost, type HtifServices } from './htif.ts';

const RAM_AT = 0x8000_0000;

class FakeServices implements HtifServices {
  readonly ram = new Uint8Array(0x1_0000);
  printed = '';

  read(at: number, into: Uint8Array): boolean {
    if (!this.#contains(at, into.length)) return false;
    into.set(this.ram.subarray(at - RAM_AT, at - RAM_AT + into.length));
    return true;
  }

  write(at: number, from: Uint8Array): boolean {
    if (!this.#contains(at, from.length)) return false;
    this.ram.set(from, at - RAM_AT);
    return true;
  }

  print(bytes: Uint8Array): void {
    this.printed += Buffer.from(bytes).toString('latin1');
  }

  /** Fills the system call block at the start of RAM and gives the value for `tohost`. */
  call(...words: readonly bigint[]): bigint {
    const view = new DataView(this.ram.buffer);
    for (const [index, word] of words.entries()) view.setBigUint64(index * 8, word, true);
    return BigInt(RAM_AT);
  }

  get result(): bigint {
    return new DataView(this.ram.buffer).getBigInt64(0, true);
  }

  #contains(at: number, length: number): boolean {
    return at >= RAM_AT && at + length <= RAM_AT + this.ram.length;
  }
}

describe('requests', () => {
  test.each<[bigint, ReturnType<typeof decodeToHost>]>([
    [0n, { kind: 'none' }],
    [1n, { kind: 'exit', code: 0 }],
    [3n, { kind: 'exit', code: 1 }],
    [0x0000_ffff_ffff_ffffn, { kind: 'exit', code: 2 ** 47 - 1 }],
    [0x8000_1000n, { kind: 'system-call', at: 0x8000_1000 }],
    [0x0100_0000_0000_0000n, { kind: 'console-read' }],
    [0x0101_0000_0000_0041n, { kind: 'console-write', byte: 0x41 }],
    [0x0101_0000_0000_0141n, { kind: 'console-write', byte: 0x41 }],
    [0x0102_0000_0000_0000n, { kind: 'unknown', device: 1, command: 2 }],
    [0xff00_0000_0000_0001n, { kind: 'unknown', device: 255, command: 0 }],
    [0x0001_0000_0000_0001n, { kind: 'unknown', device: 0, command: 1 }],
  ])('%s', (value, request) => {
    expect(decodeToHost(value)).toEqual(request);
  });
});

describe('answers', () => {
  test('an exit carries the code and prints nothing', () => {
    const services = new FakeServices();
    expect(answerToHost(15n, services)).toEqual({ exit: 7 });
    expect(services.printed).toBe('');
  });

  test('a byte for the console is printed and acknowledged', () => {
    const services = new FakeServices();
    expect(answerToHost(0x0101_0000_0000_0041n, services)).toEqual({ fromHost: 0x0101_0000_0000_0141n });
    expect(services.printed).toBe('A');
  });

  test('a program that reads the console waits for a byte', () => {
    expect(answerToHost(0x0100_0000_0000_0000n, new FakeServices())).toEqual({ wantsInput: true });
    expect(consoleInput(0x41)).toBe(0x0100_0000_0000_0141n);
    expect(consoleInput(0)).not.toBe(0n);
  });

  test('write prints guest memory, however long', () => {
    const services = new FakeServices();
    const text = 'long '.repeat(2000);
    services.write(RAM_AT + 0x100, Buffer.from(text));
    const tohost = services.call(64n, 1n, BigInt(RAM_AT + 0x100), BigInt(text.length));
    expect(answerToHost(tohost, services)).toEqual({ fromHost: 1n });
    expect(services.printed).toBe(text);
    expect(services.result).toBe(BigInt(text.length));
  });

  test.each<[string, bigint[], bigint]>([
    ['to a file that is no console', [64n, 5n, 0x8000_0000n, 1n], -9n],
    ['from outside RAM', [64n, 1n, 0x1000n, 1n], -14n],
    ['from an address beyond all memory', [64n, 1n, 2n ** 64n - 1n, 1n], -14n],
    ['of more than a console takes', [64n, 2n, 0x8000_0000n, 2n ** 63n], -14n],
    ['that runs out of RAM', [64n, 1n, 0x8000_f000n, 0x2000n], 0x1000n],
    ['of nothing', [64n, 1n, 0n, 0n], 0n],
  ])('a write %s gives its result', (_what, words, result) => {
    const services = new FakeServices();
    expect(answerToHost(services.call(...words), services)).toEqual({ fromHost: 1n });
    expect(services.result).toBe(result);
    expect(services.printed).toHaveLength(Math.max(0, Number(result)));
  });

  test('a system call that is not offered is refused and counted', () => {
    const services = new FakeServices();
    expect(answerToHost(services.call(63n, 0n, 0n, 0n), services)).toEqual({
      fromHost: 1n,
      guestError: expect.any(String),
    });
    expect(services.result).toBe(-38n);
  });

  test.each([2n, 0x8000_0004n, 0x8000_fff8n, 0x0500_0000_0000_0000n])('%s is counted as a guest error', value => {
    expect(answerToHost(value, new FakeServices())).toEqual({ guestError: expect.any(String) });
  });
});
