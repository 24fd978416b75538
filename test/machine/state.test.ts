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

test.each([3, 150])(
  'with its pages absent, after %i million instructions, it goes on alike (@req C17)',
  async millions => {
    const original = await LinuxMachine.boot(guest);
    original.runUntil({ instructions: millions * 1e6 });
    const state = original.machine.saveState();
    const restored = await LinuxMachine.resume(guest, state, original, { lazily: true });
    const { absentPages } = restored.machine.manager;
    const until = { instructions: (millions + 40) * 1e6 };
    original.runUntil(until);
    restored.runUntil(until);
    expect(restored.arrived.length).toBeGreaterThan(100);
    expect(restored.machine.manager.absentPages).toBe(absentPages - restored.arrived.length);
    expect(absentPages).toBeGreaterThan(restored.arrived.length * 2);
    expect(Buffer.compare(restored.machine.saveState(), original.machine.saveState()), 'states differ').toBe(0);
    restored.bringAll();
    expect(Buffer.compare(restored.ram, original.ram), 'memories differ').toBe(0);
  },
);

test('a restored guest that is told so has other random numbers and goes on (@req C18)', async () => {
  const original = await LinuxMachine.boot(guest);
  original.runUntil({ shows: '~# ' });
  const state = original.machine.saveState();
  const generation = Uint8Array.from({ length: 16 }, (_, index) => index * 3 + 1);
  const told = await LinuxMachine.resume(guest, state, original, { lazily: true, generation });
  const untold = await LinuxMachine.resume(guest, state, original);
  const drawn: string[] = [];
  for (const one of [original, untold, told]) {
    one.console.output = '';
    one.console.type('dmesg | grep -c vmgenid; head -c 12 /dev/urandom | base64; echo "done"ly\n');
    one.machine.poll();
    one.runUntil({ shows: 'donely' });
    drawn.push(/^[A-Za-z0-9+/]{16}/m.exec(one.console.output)![0]);
  }
  expect(drawn[1]).toBe(drawn[0]);
  expect(drawn[2]).not.toBe(drawn[0]);
});

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
