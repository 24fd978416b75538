// A checkpoint of the running Linux beside a machine that was really stopped and copied at the same instruction, and the
// machine that went on beside one that nobody looked at: memory, registers and device state bit for bit (C3, C4, V7).
import { beforeAll, expect, test } from 'vitest';
import { ensureGuest, type Guest } from '../../assets/guest/guest.ts';
import { CLAIM_CLEAN, CLAIM_TAKEN, CLAIM_ZERO, HeldPages } from '../../engine/memory/save-states.ts';
import { LinuxMachine } from '../framework/linux-machine.ts';

const PAGE = 4096;

let guest: Guest;
beforeAll(async () => {
  guest = await ensureGuest();
});

test.each([20, 180, 330])('taken after %i million instructions, saved while it runs on', async millions => {
  const live = await LinuxMachine.boot(guest);
  const stopped = await LinuxMachine.boot(guest);
  const moment = { instructions: millions * 1e6 };
  live.runUntil(moment);
  stopped.runUntil(moment);
  const state = stopped.machine.saveState();
  const memory = stopped.ram.slice();

  const { manager } = live.machine;
  manager.prepareHold();
  manager.hold();
  const captured = live.machine.captureState();
  const held = new HeldPages(manager.tables);
  const image = new Uint8Array(memory.length);
  const pages = manager.tables.ramPages;
  // The saver has come so far at the end of each slice of the guest.
  for (let page = 0, goal = moment.instructions; page < pages; ) {
    goal += 200_000;
    live.runUntil({ instructions: goal });
    for (const end = Math.min(pages, page + 300); page < end; page += 1) {
      const frame = held.claim(page);
      if (frame === CLAIM_ZERO) continue;
      expect([CLAIM_CLEAN, CLAIM_TAKEN]).not.toContain(frame);
      image.set(manager.tables.frameBytes(frame), page * PAGE);
      held.saved(page);
    }
  }
  expect(manager.counts.copies).toBeGreaterThan(10);
  expect(Buffer.compare(captured.encode(), state), 'states differ').toBe(0);
  expect(Buffer.compare(image, memory), 'memories differ').toBe(0);

  manager.release();
  const later = { instructions: live.machine.instructions + 20e6 };
  live.runUntil(later);
  stopped.runUntil(later);
  expect(manager).toMatchObject({ virtualized: [], remappedPages: 0, mapFrames: 0 });
  expect(live.console.output).toBe(stopped.console.output);
  expect(Buffer.compare(live.machine.saveState(), stopped.machine.saveState()), 'states differ later').toBe(0);
  expect(Buffer.compare(live.ram, stopped.ram), 'memories differ later').toBe(0);
});
