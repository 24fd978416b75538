import { describe, expect, it } from 'vitest';
import { RangeLock } from './range-lock.ts';

/** Starts tasks under the lock and says which have begun; each ends when told. */
function bench() {
  const lock = new RangeLock();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (name: string, from: number, to: number, mode: 'shared' | 'exclusive') =>
    lock.run(from, to - from, mode, () => {
      begun.push(name);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.set(name, resolve);
      return promise;
    });
  return { lock, begun, start, end: (name: string) => ends.get(name)?.() };
}

describe('range lock', () => {
  it('runs reads together and writes alone, in the order of submission', async () => {
    const { lock, begun, start, end } = bench();
    const first = [start('r1', 0, 10, 'shared'), start('r2', 5, 15, 'shared')];
    const write = start('w', 9, 11, 'exclusive');
    const late = start('r3', 0, 20, 'shared');
    expect(begun).toEqual(['r1', 'r2']);
    end('r1');
    await first[0];
    expect(begun).toEqual(['r1', 'r2']);
    end('r2');
    await first[1];
    await expect.poll(() => begun).toEqual(['r1', 'r2', 'w']);
    end('w');
    await write;
    await expect.poll(() => begun).toEqual(['r1', 'r2', 'w', 'r3']);
    end('r3');
    await late;
    expect(lock.size).toBe(0);
  });

  it('does not delay what only touches', () => {
    const { begun, start } = bench();
    start('a', 0, 10, 'exclusive');
    start('b', 10, 20, 'exclusive');
    expect(begun).toEqual(['a', 'b']);
  });

  it('goes on after a task that fails, and passes its error on', async () => {
    const { lock, begun, start, end } = bench();
    const failed = lock.run(0, 10, 'exclusive', () => Promise.reject(new Error('broken')));
    const next = start('next', 0, 10, 'exclusive');
    await expect(failed).rejects.toThrow('broken');
    await expect.poll(() => begun).toEqual(['next']);
    end('next');
    await next;
  });
});
