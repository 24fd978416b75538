import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Doorbell } from './doorbell.ts';

describe('Doorbell', () => {
  it('does not sleep when it was rung after the count was taken', () => {
    const bell = new Doorbell();
    const seen = bell.count;
    bell.ring();
    bell.sleep(seen, Number.POSITIVE_INFINITY);
    expect(bell.count).not.toBe(seen);
  });

  it('sleeps no longer than it was told', () => {
    const bell = new Doorbell();
    const start = performance.now();
    bell.sleep(bell.count, 5);
    expect(performance.now() - start).toBeGreaterThanOrEqual(4);
  });

  it('loses no wake-up in 20000 rounds of two threads that sleep without a time limit', async () => {
    const rounds = 20_000;
    const [mine, theirs] = [new Doorbell(), new Doorbell()];
    const words = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL('../../test/host/bell-ringer.ts', import.meta.url), {
      workerData: { mine: theirs.buffer, theirs: mine.buffer, words: words.buffer, rounds },
    });
    let answered = 0;
    let calls = 0;
    const listening = mine.listen(() => {
      calls += 1;
      const published = Atomics.load(words, 0);
      if (published === answered) return;
      // Strictly alternating: a skipped number would mean that the other side went on without our answer.
      if (published !== answered + 1) expect.fail(`round ${published} follows ${answered}`);
      answered = published;
      Atomics.store(words, 1, published);
      theirs.ring();
    });
    await once(worker, 'exit');
    expect(answered).toBe(rounds);
    // At most one call per ring and the first one: it does not spin.
    expect(calls).toBeLessThanOrEqual(rounds + 1);
    listening.close();
    await listening.done;
  });

  it('lets the event loop run while it rings without end', async () => {
    const bell = new Doorbell();
    let calls = 0;
    const listening = bell.listen(() => {
      calls += 1;
      bell.ring();
    });
    await new Promise(resolve => setTimeout(resolve, 1));
    expect(calls).toBeGreaterThan(0);
    listening.close();
    await listening.done;
    const after = calls;
    bell.ring();
    await new Promise(resolve => setImmediate(resolve));
    expect(calls).toBe(after);
  });

  it('reports a handler that throws', async () => {
    const bell = new Doorbell();
    const listening = bell.listen(() => {
      throw new Error('broken handler');
    });
    await expect(listening.done).rejects.toThrow('broken handler');
  });
});
