// Started by a Node that is too old, the command runs in a second process; nobody is to notice.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../host/temporary-folder.ts';

const COMMAND = path.join(import.meta.dirname, '../../main/cli/afterimage.mjs');
const OLD_NODE = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.0.0"}})';

/** A machine that waits for ever, with a disk whose lock tells whether it still runs. */
async function waitingMachine() {
  const kernel = path.join(temporaryFolder(), 'firmware.bin');
  // j .
  writeFileSync(kernel, Uint8Array.of(0x6f, 0, 0, 0));
  const disk = `${kernel}.disk`;
  writeFileSync(disk, new Uint8Array(1 << 20));
  const options = ['run', '--firmware', kernel, '--disk', disk, '--trace', `${kernel}.trace`, '--timeout', '60'];
  const launcher = spawn(process.execPath, ['--import', OLD_NODE, COMMAND, ...options, '--json'], { detached: true });
  let result = '';
  launcher.stdout.on('data', text => {
    result += text;
  });
  const { pid } = launcher;
  onTestFinished(() => {
    try {
      process.kill(-pid!, 'SIGKILL');
    } catch {
      // Everything has ended.
    }
  });
  const locked = () => existsSync(`${disk}.lock`);
  while (!existsSync(`${kernel}.trace`)) await delay(20);
  expect(locked()).toBe(true);
  const closed = once(launcher, 'close') as Promise<[number | null, string | null]>;
  return { launcher, locked, end: async () => ({ exit: await closed, result: JSON.parse(result) as unknown }) };
}

it.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)('ends in order on %s, sent to the launcher alone or to both', async (signal, status) => {
  for (const direction of [1, -1]) {
    const { launcher, locked, end } = await waitingMachine();
    process.kill(direction * launcher.pid!, signal);
    const { exit, result } = await end();
    expect(exit).toEqual([status, null]);
    expect(result).toMatchObject({ outcome: 'signal', signal, guestErrors: {} });
    expect(locked()).toBe(false);
  }
});

it.each(['SIGKILL', 'SIGQUIT'] as const)('leaves no machine behind on %s', async signal => {
  const { launcher, locked } = await waitingMachine();
  launcher.kill(signal);
  while (locked()) await delay(20);
});

it('an installation by a Node that is too old ends with one line that says so', async () => {
  const check = path.join(import.meta.dirname, '../../main/cli/check-node.mjs');
  const run = async (...options: string[]) => {
    const child = spawn(process.execPath, [...options, check]);
    let said = '';
    child.stderr.on('data', text => {
      said += text;
    });
    const [status] = (await once(child, 'close')) as [number];
    return { status, said };
  };
  expect(await run()).toEqual({ status: 0, said: '' });
  const { status, said } = await run('--import', OLD_NODE);
  expect([status, said.trimEnd().split('\n')]).toEqual([1, [expect.stringContaining('Node 24 or newer is needed')]]);
});
