import { expect, test } from 'vitest';
import { type SbiSurroundings, sbiServices } from '../../engine/machine/sbi-services.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';

const SSIP = 2n;
const SEIP = 9;

test('a hart that interrupts itself while a device does keeps nothing of the device’s interrupt', async () => {
  const { core } = new BareMachine(await coreModule());
  const services = sbiServices({ core } as SbiSurroundings);
  core.setPin(SEIP, true);
  services.sendInterrupt([0]);
  expect(core.pending & SSIP).toBe(SSIP);
  core.setPin(SEIP, false);
  expect(core.pending & (1n << BigInt(SEIP))).toBe(0n);
});
