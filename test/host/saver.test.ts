// The saver of a checkpoint beside the hart (@req C3, C8).
import { expect, test } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import type { CheckpointWriter } from '../../engine/checkpoint/writer.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import { Saver } from '../../engine/host/saver.ts';
import { SAVED, stateIn } from '../../engine/memory/save-states.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, PAGE } from '../memory/rig.ts';

/** Everything dirty, one page with a pending read, all others saved. */
async function heldMachine() {
  const rig = buildRig(await coreModule());
  const { manager, memory } = rig;
  for (let page = 64; page < 128; page += 1)
    memory.write(guestPhys(RAM_BASE + page * PAGE), Uint8Array.of(page & 127, 1));
  const pending = memory.pin(guestPhys(RAM_BASE + 100 * PAGE), PAGE, 'device-writes')!;
  manager.hold();
  const written = new Map<number, number>();
  const writer = {
    writePages: async (_: number, pages: ArrayLike<number>, frames: readonly Uint8Array[]) => {
      for (const [index, frame] of frames.entries()) written.set(pages[index]!, frame[0]!);
    },
    writeZeroes: () => undefined,
  } as unknown as CheckpointWriter;
  const cancel = new AbortController();
  const saver = new Saver({
    tables: manager.tables,
    writer,
    since: 0,
    signal: cancel.signal,
    bring: async () => undefined,
    onProgress: () => undefined,
  });
  await saver.save();
  return { ...rig, pending, saver, written, cancel };
}

test('a store that waits for a page whose read has ended does not wait for the reads of other pages', async () => {
  const { manager, memory, pending, saver, written } = await heldMachine();
  const { tables } = manager;
  expect(written.has(100)).toBe(false);
  const others = Promise.withResolvers<string>();
  const waiting = saver.saveUntil(others.promise);
  // The page's read ends; then the hart has no frame for its copy and waits for it, as `waitUntilSaved` does.
  memory.unpin(pending);
  tables.setWord(tables.layout.URGENT_PAGE, 100 + 1);
  await expect.poll(() => stateIn(tables.saveState(100))).toBe(SAVED);
  tables.setWord(tables.layout.URGENT_PAGE, 0);
  others.resolve('the others');
  expect(await waiting).toBe('the others');
  await saver.saveLate();
  expect(written.get(100)).toBe(100);
});

test('waiting for reads ends with the checkpoint, or with a read that cannot be told of', async () => {
  const first = await heldMachine();
  const waiting = first.saver.saveUntil(new Promise(() => undefined));
  first.cancel.abort(new Error('given up'));
  await expect(waiting).rejects.toThrow('given up');
  const second = await heldMachine();
  await expect(second.saver.saveUntil(Promise.reject(new Error('the machine ended')))).rejects.toThrow('ended');
});
