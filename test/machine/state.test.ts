// The state of hart and devices, saved between two slices and put into a new machine (@req C2, the part in memory).
import { beforeAll, expect, test } from 'vitest';
import { ensureGuest, type Guest } from '../../assets/guest/guest.ts';
import { LinuxMachine } from '../framework/linux-machine.ts';

let guest: Guest;
beforeAll(async () => {
  guest = await ensureGuest();
});

test.each([3, 90, 260])(
  'Linux goes on in a new machine bit for bit as in the old one, after %i million instructions',
  async millions => {
    const original = await LinuxMachine.boot(guest);
    original.runUntil({ instructions: millions * 1e6 });
    const state = original.machine.saveState();
    const restored = await LinuxMachine.resume(guest, state, original);
    expect(Buffer.compare(restored.machine.saveState(), state)).toBe(0);
    expect(restored.machine.instructions).toBe(original.machine.instructions);
    const shown = original.console.output.length;

    const until = { instructions: (millions + 40) * 1e6 };
    original.runUntil(until);
    restored.runUntil(until);
    expect(restored.console.output).toBe(original.console.output.slice(shown));
    expect(Buffer.compare(restored.machine.saveState(), original.machine.saveState()), 'states differ').toBe(0);
    expect(Buffer.compare(restored.ram, original.ram), 'memories differ').toBe(0);
  },
);

test('a shell answers in both', async () => {
  const original = await LinuxMachine.boot(guest);
  original.runUntil({ shows: '~# ' });
  const restored = await LinuxMachine.resume(guest, original.machine.saveState(), original);
  for (const [name, one] of Object.entries({ original, restored })) {
    one.console.output = '';
    one.console.type(`echo ${name} $((6 * 7)) $(cat /proc/sys/kernel/hostname)\n`);
    one.machine.poll();
    one.runUntil({ shows: `${name} 42 afterimage` });
  }
});

test('damaged states are refused or become a machine that runs', async () => {
  const original = await LinuxMachine.boot(guest);
  original.runUntil({ instructions: 1e6 });
  const state = original.machine.saveState();
  const memory = original.ram;
  expect(memory.length).toBeGreaterThan(0);
  let refused = 0;
  for (let round = 0; round < 60; round += 1) {
    const damaged = round % 2 === 0 ? state.slice(0, (state.length * round) / 60) : state.slice();
    if (round % 2 === 1) damaged[(round * 7919) % damaged.length]! ^= 1 << (round % 8);
    try {
      const machine = await LinuxMachine.resume(guest, damaged, original);
      machine.machine.core.run(1000);
    } catch (error) {
      expect(error).toMatchObject({ name: 'AfterimageError', kind: expect.stringMatching(/corrupt|unsupported/) });
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(29);
});
