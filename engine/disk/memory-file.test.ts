import { describe, expect, it } from 'vitest';
import { MemoryFile } from './memory-file.ts';

describe('memory file', () => {
  it('grows by writing and reads zeroes past its end and in gaps', async () => {
    const file = new MemoryFile('f', Uint8Array.of(1, 2, 3));
    await file.write(6, [Uint8Array.of(7), Uint8Array.of(8, 9)]);
    expect(await file.size()).toBe(9);
    const [a, b] = [new Uint8Array(4).fill(0xee), new Uint8Array(8).fill(0xee)];
    await file.read(1, [a, b]);
    expect([...a, ...b]).toEqual([2, 3, 0, 0, 0, 7, 8, 9, 0, 0, 0, 0]);
    await file.read(1000, [a]);
    expect([...a]).toEqual([0, 0, 0, 0]);
  });

  it('leaves no old bytes behind when it shrinks and grows', async () => {
    const file = new MemoryFile('f', Uint8Array.of(1, 2, 3));
    await file.truncate(1);
    await file.truncate(3);
    expect([...file.content()]).toEqual([1, 0, 0]);
    await file.truncate(4);
    expect([...file.content()]).toEqual([1, 0, 0, 0]);
    await file.write(2, []);
    expect(await file.size()).toBe(4);
  });

  it('refuses changes when it is read-only, and everything when it is closed', async () => {
    const file = new MemoryFile('f', Uint8Array.of(1), true);
    await expect(file.write(0, [Uint8Array.of(2)])).rejects.toMatchObject({ kind: 'denied' });
    await expect(file.truncate(0)).rejects.toMatchObject({ kind: 'denied' });
    await file.flush();
    await file.close();
    await expect(file.read(0, [])).rejects.toMatchObject({ kind: 'state' });
  });
});
