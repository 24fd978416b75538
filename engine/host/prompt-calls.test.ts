import { describe, expect, it } from 'vitest';
import { PromptCalls } from './prompt-calls.ts';

const BYTES = 4096;

/** A gate with a clock that calls move. */
function bench() {
  let now = 1000;
  const calls = new PromptCalls(() => now);
  const call = (milliseconds: number) => {
    const began = calls.now;
    now += milliseconds;
    calls.learn(began, BYTES);
  };
  return {
    calls,
    call,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

/** How long the gate stays closed, in whole milliseconds. */
function closedFor({ calls, pass }: ReturnType<typeof bench>): number {
  let waited = 0;
  while (!calls.allows(BYTES)) {
    pass(1);
    waited += 1;
  }
  return waited;
}

describe('prompt calls', () => {
  it('are allowed while they are prompt, and never for large transfers', () => {
    const { calls, call } = bench();
    for (let count = 0; count < 1000; count += 1) {
      expect(calls.allows(BYTES)).toBe(true);
      call(0.002);
    }
    expect(calls.allows(2 ** 20)).toBe(false);
  });

  it('hold the thread up for a fiftieth of the time at most, however slow the host', () => {
    const gate = bench();
    gate.call(10);
    expect(closedFor(gate)).toBeGreaterThanOrEqual(500);
  });

  it('are tried less and less while they are slow, and at least once a second', () => {
    const gate = bench();
    const waits = Array.from({ length: 8 }, () => {
      gate.call(1);
      return closedFor(gate);
    });
    expect(waits.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(waits.at(-1)).toBe(1000);
  });

  it('are trusted again after many prompt ones', () => {
    const gate = bench();
    gate.call(1);
    closedFor(gate);
    gate.call(1);
    closedFor(gate);
    for (let count = 0; count < 64; count += 1) gate.call(1 / 512);
    gate.call(1);
    expect(closedFor(gate)).toBe(50);
  });
});
