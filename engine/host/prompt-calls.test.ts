import { describe, expect, it } from 'vitest';
import { PromptCalls, WaitingAccount } from './prompt-calls.ts';

const BYTES = 4096;

/** A gate with a clock that calls move. */
function bench(kind: 'read' | 'write' = 'read', fromDisk = true) {
  let now = 1000;
  const calls = new PromptCalls(
    kind,
    () => now,
    () => fromDisk,
    new WaitingAccount(0.1),
  );
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

describe('prompt calls', () => {
  it('are allowed while they are prompt, and never for large transfers', () => {
    const { calls, call } = bench();
    for (let count = 0; count < 100_000; count += 1) {
      expect(calls.allows(BYTES)).toBe(true);
      call(1 / 512);
    }
    expect(calls.allows(2 ** 20)).toBe(false);
  });

  it.each([0.0625, 0.5, 8, 1000])('hold the thread up for a small share of the time when each takes %d ms', latency => {
    const { calls, call, pass } = bench();
    const began = calls.now;
    let waited = 0;
    while (calls.now - began < 100_000) {
      if (calls.allows(BYTES)) {
        call(latency);
        waited += latency;
      } else pass(0.0625);
    }
    // Its share, what was saved up, and the call that overdraws.
    expect(waited).toBeLessThanOrEqual(0.05 * (calls.now - began) + 10 + latency);
    expect(waited).toBeGreaterThan(0);
  });

  it('hold it up for longer when nothing says that a disk was the reason, until there is no doubt', () => {
    const shareOf = ({ calls, call, pass }: ReturnType<typeof bench>, latency: number) => {
      const began = calls.now;
      let waited = 0;
      while (calls.now - began < 100_000) {
        if (calls.allows(BYTES)) {
          call(latency);
          waited += latency;
        } else pass(0.0625);
      }
      return waited / (calls.now - began);
    };
    expect(shareOf(bench('write'), 0.5)).toBeCloseTo(1 / 2, 2);
    expect(shareOf(bench('read', false), 0.5)).toBeGreaterThan(0.9);
    expect(shareOf(bench('read', false), 32)).toBeLessThan(0.06);
    expect(shareOf(bench('write'), 32)).toBeLessThan(0.06);
  });

  it('are not given up for a single slow one among many', () => {
    const { calls, call } = bench();
    for (let count = 0; count < 200_000; count += 1) {
      call(count % 50_000 === 0 ? 4 : 1 / 512);
      expect(calls.allows(BYTES)).toBe(true);
    }
  });

  it('come back when the host is prompt again', () => {
    const { calls, call, pass } = bench();
    call(500);
    expect(calls.allows(BYTES)).toBe(false);
    pass(10_000);
    expect(calls.allows(BYTES)).toBe(true);
    call(1 / 512);
    expect(calls.allows(BYTES)).toBe(true);
  });

  it('of many files on one slow disk hold the thread up no longer than those of a few', () => {
    let now = 1000;
    const all = new WaitingAccount(0.1);
    const files = Array.from({ length: 60 }, () => {
      return new PromptCalls(
        'read',
        () => now,
        () => true,
        all,
      );
    });
    let waited = 0;
    while (now < 101_000) {
      for (const calls of files) {
        if (calls.allows(BYTES)) {
          const began = calls.now;
          now += 30;
          waited += 30;
          calls.learn(began, BYTES);
        } else now += 0.0625;
      }
    }
    expect(waited).toBeLessThanOrEqual(0.1 * 100_000 + 10 + 30);
  });
});
