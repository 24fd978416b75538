import { expect, test } from 'vitest';
import { OUTPUT_WINDOW } from '../api/messages.ts';
import { ConsoleHub } from './console-hub.ts';

const PIECE = 32 * 1024;
const TOTAL = 12 * 1024 * 1024;

/** A guest that prints numbered pieces as long as it may. */
class Printer {
  readonly hub = new ConsoleHub();
  printed = 0;
  #untaken = 0;

  constructor() {
    this.hub.connect(
      () => undefined,
      count => {
        this.#untaken -= count;
      },
    );
  }

  /** False when it has to wait, or has printed all. */
  print(): boolean {
    if (this.printed >= TOTAL || this.#untaken + PIECE > OUTPUT_WINDOW) return false;
    this.#untaken += PIECE;
    const bytes = new Uint8Array(PIECE).fill((this.printed / PIECE) & 255);
    this.printed += PIECE;
    this.hub.output(bytes);
    return true;
  }
}

test('a slow client gets every byte, for the guest waits', () => {
  const printer = new Printer();
  const waiting: Uint8Array[] = [];
  let position = 0;
  const reader = printer.hub.attach(
    bytes => waiting.push(bytes),
    0,
    () => false,
  );
  while (position < TOTAL) {
    while (printer.print());
    const bytes = waiting.shift()!;
    for (let at = 0; at < bytes.length; at += 1, position += 1) {
      if (bytes[at] !== (Math.floor(position / PIECE) & 255))
        throw new Error(`Byte ${position} is not what was printed`);
    }
    reader.taken(bytes.length);
  }
  expect(reader.missed).toBe(0);
});

test('a client that takes nothing does not hold the guest up for good, nor others', async () => {
  const printer = new Printer();
  const stuck = printer.hub.attach(
    () => undefined,
    0,
    () => false,
  );
  let got = 0;
  const lively = printer.hub.attach(
    bytes => {
      got += bytes.length;
      queueMicrotask(() => lively.taken(bytes.length));
    },
    0,
    () => false,
  );
  while (printer.printed < TOTAL) {
    while (printer.print());
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  await new Promise(resolve => setTimeout(resolve, 1));
  expect(got).toBe(TOTAL);
  expect(lively.missed).toBe(0);
  printer.hub.output(new Uint8Array(1));
  expect(stuck.missed).toBeGreaterThan(0);
});

test('nobody attached holds nothing up', () => {
  const printer = new Printer();
  while (printer.print());
  expect(printer.printed).toBe(TOTAL);
});
