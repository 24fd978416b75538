// A day in the life of a machine, as a person has it on the command line, with the default guest.
import { statSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Command, endOf } from '../cli/command.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

/** The real command line in a library of its own. */
function commandLine() {
  const library = path.join(temporaryFolder(), 'library');
  const run = async (name: string, ...words: string[]) => {
    const { status, stdout, stderr } = await endOf(Command.real([name, '--library', library, ...words]));
    return { status, out: stdout.toString(), err: stderr };
  };
  const ok = async (...words: [string, ...string[]]) => {
    const { status, out, err } = await run(...words);
    expect([words, status, err]).toEqual([words, 0, '']);
    return out;
  };
  const json = async (...words: [string, ...string[]]) => JSON.parse(await ok(...words, '--json'));
  onTestFinished(async () => {
    for (const { name } of (await json('list')).machines) await run('delete', name, '--force', '--yes');
  });
  return { library, run, ok, json };
}

interface Node {
  readonly id: string;
  readonly name: string;
  readonly parent: string | null;
  readonly bytes: number | null;
  readonly current: boolean;
}

it('what is destroyed comes back: by restore, and after export, delete and import', async () => {
  const { library, run, ok, json } = commandLine();
  await ok('create', 'web', '--memory', '256M', '--disk', '64M');
  await ok('start', 'web', '--detach');
  await ok('exec', 'web', '--', 'echo precious > /data/file; sync; echo in memory > /root/note');
  expect(await run('exec', 'web', '--', 'exit 7')).toMatchObject({ status: 7 });

  const taken = await json('checkpoint', 'web', '--name', 'good', '--note', 'before the accident');
  expect(taken).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{32}$/), parent: null, name: 'good' });
  for (const field of ['pauseMicroseconds', 'durationMilliseconds', 'pages', 'bytes']) {
    expect([field, taken[field] > 0]).toEqual([field, true]);
  }

  await ok('exec', 'web', '--', 'rm -rf /data/* /root/note /usr/bin/* ; sync');
  expect((await run('exec', 'web', '--', 'cat', '/data/file')).status).not.toBe(0);

  const restored = await json('restore', 'web', 'good', '--keep-current');
  expect(restored).toMatchObject({ id: taken.id, kept: expect.stringMatching(/^[0-9a-f]{32}$/) });
  expect(await ok('exec', 'web', '--', 'cat /data/file /root/note')).toBe('precious\nin memory\n');
  await ok('exec', 'web', '--', 'echo more >> /data/file; sync');

  const { nodes } = (await json('tree', 'web')) as { nodes: Node[] };
  expect(nodes.find(({ id }) => id === taken.id)).toMatchObject({ name: 'good', current: true, parent: null });
  expect(nodes.find(({ id }) => id === restored.kept)).toMatchObject({ parent: taken.id, current: false });
  expect(await ok('tree', 'web', '--verify')).toMatch(/good.*you are here[\s\S]*2 checkpoints .* all can be restored/);

  const second = await json('checkpoint', 'web');
  expect(second.parent).toBe(taken.id);
  const file = path.join(library, '..', 'web.afterimage-checkpoint');
  expect(await json('export', 'web', second.id.slice(0, 8), file)).toMatchObject({ bytes: statSync(file).size });
  await ok('delete', 'web', '--force', '--yes');
  expect((await json('list')).machines).toEqual([]);

  await ok('import', file, 'web again');
  await ok('start', 'web again', '--detach');
  expect(await ok('exec', 'web again', '--', 'cat /data/file /root/note')).toBe('precious\nmore\nin memory\n');
  await ok('stop', 'web again');
});

it('a clone goes on beside the original, and each has its own life', async () => {
  const { ok, json } = commandLine();
  await ok('create', 'one', '--memory', '256M', '--disk', '64M');
  await ok('start', 'one', '--detach');
  await ok('exec', 'one', '--', 'echo shared > /data/file; sync');
  await ok('checkpoint', 'one', '--name', 'fork');
  await ok('clone', 'one', 'fork', 'two');
  await ok('start', 'two', '--detach');
  await ok('exec', 'one', '--', 'echo one >> /data/file');
  await ok('exec', 'two', '--', 'echo two >> /data/file');
  expect(await ok('exec', 'one', '--', 'cat /data/file')).toBe('shared\none\n');
  expect(await ok('exec', 'two', '--', 'cat /data/file')).toBe('shared\ntwo\n');
  const { machines } = (await json('list')) as { machines: { id: string; state: string }[] };
  expect(machines.map(({ state }) => state)).toEqual(['running', 'running']);
  expect(new Set(machines.map(({ id }) => id)).size).toBe(2);
});

it('a suspended machine goes on where it was', async () => {
  const { ok, json } = commandLine();
  await ok('create', 'web', '--memory', '256M');
  await ok('start', 'web', '--detach');
  await ok('exec', 'web', '--', 'echo still here > /root/note');
  await ok('suspend', 'web');
  expect(await ok('list')).toMatch(/web +suspended/);
  await ok('start', 'web', '--detach');
  expect(await ok('exec', 'web', '--', 'cat /root/note')).toBe('still here\n');
  await ok('stop', 'web');
  expect((await json('list')).machines).toMatchObject([{ name: 'web', state: 'off' }]);
});
