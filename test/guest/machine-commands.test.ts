// Memory and disks of a running machine of the library, worked on from the command line while the guest looks on.
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Command, endOf } from '../cli/command.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

async function runningMachine(...create: string[]) {
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
  await ok('create', 'm', '--memory', '256M', ...create);
  onTestFinished(async () => void (await run('delete', 'm', '--force', '--yes')));
  await ok('start', 'm', '--detach');
  return { run, ok, json };
}

it('memory is virtualized, scattered, shared and devirtualized, and the guest notices nothing', async () => {
  const { ok, json } = await runningMachine();
  // Two files of the same content in the guest's memory, and one of another.
  await ok('exec', 'm', '--', 'cd /root; seq 1 900000 > a; cp a b; seq 5 700000 > c; sha256sum a b c > sums');
  const holds = () => ok('exec', 'm', '--', 'cd /root; sha256sum -c sums');
  expect(await ok('memory', 'm')).toMatch(/^65536 pages \(256 MiB\), unvirtualized\n/);
  expect((await json('virtualize', 'm')).virtualized).toEqual([{ first: 0, count: 65_536 }]);
  await holds();
  expect((await json('scatter', 'm', '--seed', '7')).counts.remapped).toBeGreaterThan(10_000);
  await holds();
  expect((await json('share', 'm')).counts.shared).toBeGreaterThan(1000);
  await holds();
  const back = await json('devirtualize', 'm', '--mode', 'concurrent', '--reverse', 'search');
  expect([back.virtualized, back.counts.remapped, back.counts.shared]).toEqual([[], 0, 0]);
  await holds();
  expect((await json('virtualize', 'm', '--range', '64M+1M')).virtualized).toEqual([{ first: 16_384, count: 256 }]);
  expect(await ok('devirtualize', 'm')).toMatch(/unvirtualized/);
});

it('layers of disks are put on, committed, streamed, compacted, checked and made larger', async () => {
  const { run, ok, json } = await runningMachine('--disk', '64M');
  await ok('exec', 'm', '--', 'head -c 8000000 /dev/urandom > /data/a; sha256sum /data/a > /root/sums; sync');
  const layers = async () => (await json('disks', 'm')).disks[0].layers.length;
  expect(await layers()).toBe(1);
  await ok('disks', 'm', 'overlay');
  await ok('exec', 'm', '--', 'head -c 4000000 /dev/urandom > /data/b; sha256sum /data/b >> /root/sums; sync');
  expect(await layers()).toBe(2);
  expect(await json('disks', 'm', 'commit', '--preview')).toMatchObject({
    allowed: true,
    bytesToCopy: expect.any(Number),
  });
  expect(await layers()).toBe(2);
  expect(await json('disks', 'm', 'commit')).toMatchObject({ kind: 'commit', state: 'done' });
  expect(await layers()).toBe(1);
  await ok('checkpoint', 'm', '--name', 'keeps its layer');
  expect(await ok('disks', 'm')).toMatch(/needed by keeps its layer\n.*▶.*needed by the machine\n/);
  // What the checkpoint needs cannot be written into.
  const refused = await run('disks', 'm', 'commit');
  expect([refused.status, refused.err]).toEqual([1, expect.stringMatching(/^afterimage: cannot commit 'm'.*\n$/)]);
  await ok('disks', 'm', 'stream');
  await ok('disks', 'm', 'compact');
  expect(await ok('disks', 'm', 'check')).toMatch(/nothing is damaged/);
  await ok('disks', 'm', 'resize', '--size', '96M');
  expect(await ok('exec', 'm', '--', 'sha256sum -c /root/sums; cat /sys/block/vda/size')).toMatch(
    /a: OK\n.*b: OK\n196608\n/,
  );
  const { jobs } = (await json('jobs', 'm')) as { jobs: { kind: string; state: string }[] };
  const done = jobs.filter(({ state }) => state === 'done').map(({ kind }) => kind);
  expect(done.sort()).toEqual(['check', 'commit', 'compact', 'overlay', 'resize', 'stream']);
  await ok('stop', 'm');
});

it('checkpoints are kept in memory and on raw media, moved, protected, deleted; a killed process loses none', async () => {
  const { run, ok, json } = await runningMachine('--disk', '16M');
  const medium = path.join(temporaryFolder(), 'medium.raw');
  writeFileSync(medium, '');
  truncateSync(medium, 256 * 2 ** 20);
  const first = await json('checkpoint', 'm', '--name', 'first');
  // 4 MiB of memory and 2 MiB of the disk, and what Linux does besides.
  await ok(
    'exec',
    'm',
    '--',
    `dd if=/dev/urandom of=/tmp/x bs=64k count=64; dd if=/dev/urandom of=/dev/vda bs=64k count=32 conv=fsync`,
  );
  const quick = await json('checkpoint', 'm', '--name', 'quick', '--store', 'ram');
  expect(quick).toMatchObject({ parent: first.id });
  await ok('checkpoint', 'm', '--name', 'on a medium', '--store', `raw:${medium}`);
  expect(await ok('tree', 'm')).toMatch(/first.*\n.*quick.*\[ram, until the machine ends\]\n.*on a medium.*\[raw\] ◀/);
  const compared = await json('compare', 'm', 'first', 'quick');
  expect(compared.changedPages).toBeGreaterThanOrEqual(1024);
  expect(compared.changedPages).toBeLessThan(compared.totalPages / 4);
  expect(compared.disks[0].changedBytes).toBeGreaterThanOrEqual(2 * 2 ** 20);
  expect(compared.disks[0].changedBytes).toBeLessThan(3 * 2 ** 20);
  expect(await ok('compare', 'm', 'quick', 'quick')).toMatch(/^memory: 0 pages of [\d,]+ differ\n\S+: 0 B differ\n$/);
  await ok('edit-checkpoint', 'm', 'quick', '--store', 'file', '--name', 'kept', '--note', 'a note', '--protect');
  expect((await json('tree', 'm')).nodes).toMatchObject([{}, { name: 'kept', note: 'a note', store: 'file' }, {}]);
  expect(await run('delete-checkpoint', 'm', 'kept')).toMatchObject({
    status: 1,
    err: expect.stringContaining('protected'),
  });
  await ok('edit-checkpoint', 'm', 'kept', '--unprotect');
  expect(await json('delete-checkpoint', 'm', 'first')).toEqual({ deleted: [first.id] });
  expect(await ok('tree', 'm', '--verify')).toMatch(/all can be restored/);

  const taking = run('checkpoint', 'm', '--name', 'never', '--full');
  await new Promise(resolve => setTimeout(resolve, 300));
  const [{ status }] = (await json('list')).machines;
  process.kill(status.pid, 'SIGKILL');
  const end = await taking;
  expect(await ok('list')).toMatch(/m +off/);
  const { nodes } = (await json('tree', 'm')) as { nodes: { name: string }[] };
  // It may have been complete before.
  const names = ['kept', 'on a medium', ...(end.status === 0 ? ['never'] : [])];
  expect(nodes.map(({ name }) => name)).toEqual(names);
  expect(await ok('tree', 'm', '--verify')).toMatch(/all can be restored/);
  await ok('restore', 'm', 'kept');
  expect(await ok('exec', 'm', '--', 'echo alive')).toBe('alive\n');
  expect((await json('delete-checkpoint', 'm', 'kept', '--subtree')).deleted.length).toBeGreaterThanOrEqual(2);
});
