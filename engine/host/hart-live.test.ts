import { expect, it } from 'vitest';
import { CapturedState } from '../machine/captured-state.ts';
import { createDiskBuffers, DiskLink } from './disk-link.ts';
import { Doorbell } from './doorbell.ts';
import type { HartCommand } from './hart-commands.ts';
import { HartLive, type HartLiveParts, type LiveMachine } from './hart-live.ts';

function liveOf(machine: HartLiveParts['machine']) {
  const commands: HartCommand[] = [];
  const live = new HartLive({
    machine,
    disks: new DiskLink(createDiskBuffers(), new Doorbell(), []),
    commands: { next: () => commands.shift() },
    say: () => undefined,
    now: () => 0,
  });
  return { live, commands };
}

it('a sleeping guest has the pause rehearsed so often and no more, and never while a checkpoint is due', () => {
  let captured = 0;
  const manager = { holding: false, hold: () => 1, release: () => undefined, prepareHold: () => undefined };
  const { live, commands } = liveOf({
    instructions: 0,
    manager: manager as unknown as LiveMachine['manager'],
    captureState: () => {
      captured += 1;
      return new CapturedState();
    },
  });
  const before = captured;
  expect(live.unrehearsed).toBe(true);
  commands.push({ kind: 'take', since: 0, pending: 'copy' });
  live.attend();
  expect(live.unrehearsed).toBe(false);
  live.moment(() => false);
  live.moment(() => false);
  live.finishMoment();
  let rounds = 0;
  while (live.unrehearsed) {
    live.rehearse();
    rounds += 1;
    expect(rounds).toBeLessThan(10_000);
  }
  expect(captured - before).toBeGreaterThan(rounds);
});

it('a machine that cannot be checkpointed has nothing to rehearse', () => {
  expect(liveOf({ instructions: 0 }).live.unrehearsed).toBe(false);
});
