// The tray with several machines: each has its own items, which do what they say to that machine alone.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CheckpointNode } from '../../engine/api/checkpoints.ts';
import { pauseText } from '../../main/ipc/whole-library.ts';
import { create, machineCall, waitForOutput } from './machines.ts';
import { chromiumForTests, type RunningApp, runApp } from './running-app.ts';

const NAMES = ['Database', 'Mail', 'Web'] as const;
let browser: Browser;

beforeAll(async () => {
  browser = await chromiumForTests();
});

afterAll(async () => {
  await browser?.close();
});

async function nodesOf(running: RunningApp, machine: string): Promise<readonly CheckpointNode[]> {
  const tree = await machineCall(running, machine, 'tree');
  return (tree.result as unknown as { nodes: readonly CheckpointNode[] }).nodes;
}

test('three machines run: each has a quick snapshot from the tray, and its pause in a notification', async () => {
  await using running = await runApp(browser);
  const { standIn } = running;
  const machines = new Map<string, string>();
  for (const name of NAMES) machines.set(name, await create(running, name));
  for (const id of machines.values()) expect(await machineCall(running, id, 'start')).toMatchObject({ ok: true });
  await Promise.all([...machines.values()].map(id => waitForOutput(running, id, 'root@afterimage:~# ')));

  await expect
    .poll(() => standIn.trayMenu.map(({ label }) => label).filter(label => NAMES.some(name => name === label)))
    .toEqual([...NAMES]);
  // One after the other without waiting, as fast as a hand can.
  for (const name of NAMES) standIn.item(standIn.trayMenu, name, 'Quick Snapshot').click?.();
  const told = () => standIn.notifications.filter(({ body }) => body.startsWith('Saved.'));
  await expect.poll(() => told().length, { timeout: 120_000 }).toBe(NAMES.length);

  for (const [name, id] of machines) {
    const nodes = await nodesOf(running, id);
    expect(nodes, name).toHaveLength(1);
    const { name: called, pauseMicroseconds } = nodes[0]!;
    expect(called).toMatch(/^Quick snapshot/);
    const own = told().filter(({ title }) => title === name);
    expect(own.map(({ body }) => body)).toEqual([`Saved. The machine paused for ${pauseText(pauseMicroseconds!)}.`]);
    // A click on it shows the machine that it is about.
    own[0]!.click();
    await running.window.page.getByRole('heading', { name, level: 1 }).waitFor();
  }

  // Stopping one leaves the others on.
  standIn.item(standIn.trayMenu, 'Mail', 'Stop').click?.();
  const state = (name: string) => running.app.machine(machines.get(name)!).status.state;
  await expect.poll(() => state('Mail'), { timeout: 120_000 }).toBe('off');
  expect([state('Database'), state('Web')]).toEqual(['running', 'running']);
  for (const name of ['Database', 'Web']) await machineCall(running, machines.get(name)!, 'stop', { force: true });
});
