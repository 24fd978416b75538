// A machine whose folder is deleted or moved under it: it says so, is switched off, and writes nowhere else.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { own, SMALL_OWNER, smallMachine } from './machine-owner.ts';

async function running() {
  const folder = await smallMachine('talk', { disks: [{ kind: 'new', size: 1 << 20, format: 'qcow2' }] });
  const owner = own(folder, SMALL_OWNER);
  await owner.connection.call('console-attach', {});
  await owner.connection.call('start', {});
  await owner.shows('# ');
  return { folder, ...owner };
}

const gone = expect.objectContaining({ kind: 'missing', message: expect.stringContaining('deleted or moved') });

test.each([
  ['deleted', (folder: string) => rmSync(folder, { recursive: true })],
  ['moved', (folder: string) => renameSync(folder, `${folder}-elsewhere`)],
  [
    'replaced by another',
    (folder: string) => {
      renameSync(folder, `${folder}-elsewhere`);
      mkdirSync(folder);
    },
  ],
])('%s: the process says so and ends', async (_, lose) => {
  const { folder, connection, events, exit } = await running();
  const around = readdirSync(path.dirname(folder));
  lose(folder);
  const ended = await exit;
  expect(ended.signal).toBeNull();
  expect(events).toContainEqual({ event: 'warning', error: gone });
  expect(events.at(-1)).toMatchObject({ event: 'status', status: { state: 'failed', error: gone } });
  expect(connection.isOpen).toBe(false);
  // Nothing was made anew where the folder was, or beside it.
  if (existsSync(folder)) expect(readdirSync(folder)).toEqual([]);
  const now = readdirSync(path.dirname(folder)).filter(name => !name.endsWith('-elsewhere') && name !== 'machine');
  expect(now).toEqual(around.filter(name => name !== 'machine'));
});

test('a process that lost its folder leaves it to the next one where it was moved to', async () => {
  const { folder, exit } = await running();
  renameSync(folder, `${folder}-elsewhere`);
  await exit;
  const next = own(`${folder}-elsewhere`, SMALL_OWNER);
  expect(await next.connection.call('status', {})).toMatchObject({ state: 'off' });
});
