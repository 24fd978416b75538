// The pacer of console output, with time and frames that the test makes.
import { expect, test } from 'vitest';
import { OutputPacer } from '../../../renderer/terminal/output-pacer.ts';

/** A terminal that parses so many bytes in a millisecond, when it is let. */
class SlowTerminal {
  readonly given: Uint8Array[] = [];
  taken = 0;
  time = 0;
  hidden = false;
  readonly pacer: OutputPacer;
  #speed: number;
  #toDo: (() => void)[] = [];
  #frame: (() => void) | undefined;

  constructor(speed: number) {
    this.#speed = speed;
    this.pacer = new OutputPacer(
      (bytes, parsed) => {
        this.given.push(bytes);
        this.#toDo.push(() => {
          this.time += bytes.length / this.#speed;
          parsed();
        });
      },
      count => {
        this.taken += count;
      },
      {
        now: () => this.time,
        onFrame: call => {
          this.#frame = call;
        },
        hidden: () => this.hidden,
      },
    );
  }

  /** All that it was given. */
  get bytes(): Buffer {
    return Buffer.concat(this.given);
  }

  get frameWanted(): boolean {
    return this.#frame !== undefined;
  }

  /** Parses what it was given, draws for some milliseconds, and begins the next frame. Returns how long the frame was. */
  frame(drawing: number): number {
    const begun = this.time;
    for (const parse of this.#toDo.splice(0)) parse();
    this.time = Math.ceil((this.time + drawing) / 16.7) * 16.7;
    const call = this.#frame;
    this.#frame = undefined;
    call?.();
    return this.time - begun;
  }
}

test('what is typed is echoed at once, whole, and in order', () => {
  const terminal = new SlowTerminal(20_000);
  terminal.pacer.add(Uint8Array.of(1, 2));
  terminal.pacer.add(Uint8Array.of(3));
  expect([...terminal.bytes]).toEqual([1, 2, 3]);
  expect(terminal.pacer.waiting).toBe(0);
  for (let count = 0; count < 4; count += 1) terminal.frame(1);
  expect(terminal.taken).toBe(3);
  // Nobody is woken for nothing afterwards.
  expect(terminal.frameWanted).toBe(false);
});

test('of a flood each frame has its part, nothing is lost or turned round', () => {
  const terminal = new SlowTerminal(20_000);
  const all = Uint8Array.from({ length: 1_000_000 }, (_, index) => (index * 31) % 251);
  terminal.pacer.add(all.subarray(0, 600_000));
  terminal.pacer.add(all.subarray(600_000));
  expect(terminal.pacer.waiting).toBeGreaterThan(500_000);
  while (terminal.pacer.waiting > 0) {
    expect(terminal.frameWanted).toBe(true);
    terminal.frame(5);
  }
  terminal.frame(5);
  expect(terminal.taken).toBe(all.length);
  expect(terminal.bytes.equals(all)).toBe(true);
});

for (const [speed, drawing] of [
  [30_000, 2],
  [10_000, 12],
  [4000, 25],
  [1000, 30],
] as const) {
  test(`frames stay below 50 ms where ${speed} bytes are parsed and frames drawn in ${drawing} ms`, () => {
    const terminal = new SlowTerminal(speed);
    terminal.pacer.add(new Uint8Array(20_000_000));
    // It has to find out first how fast it is.
    for (let count = 0; count < 20; count += 1) terminal.frame(drawing);
    const before = terminal.taken;
    const start = terminal.time;
    let longest = 0;
    for (let count = 0; count < 30; count += 1) longest = Math.max(longest, terminal.frame(drawing));
    expect(longest).toBeLessThan(51);
    expect((terminal.taken - before) / (terminal.time - start)).toBeGreaterThan(speed * 0.03);
  });
}

test('a page that nobody sees takes all at once', () => {
  const terminal = new SlowTerminal(20_000);
  terminal.pacer.add(new Uint8Array(700_000));
  expect(terminal.pacer.waiting).toBeGreaterThan(0);
  terminal.hidden = true;
  terminal.pacer.visibilityChanged();
  expect(terminal.pacer.waiting).toBe(0);
});

test('a terminal that is gone takes nothing more', () => {
  const terminal = new SlowTerminal(20_000);
  terminal.pacer.add(new Uint8Array(700_000));
  const given = terminal.given.length;
  terminal.pacer.dispose();
  terminal.frame(5);
  terminal.frame(5);
  expect(terminal.given).toHaveLength(given);
});
