// @req C17, C18: a machine goes on from a checkpoint, its pages brought as they are used, whatever happens meanwhile.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { BootSettings } from '../../engine/api/settings.ts';
import type { Resume } from '../../engine/host/resume.ts';
import { LiveMachine } from '../framework/live-machine.ts';

const MEMORY = 128 * 2 ** 20;

let folder: string;
let original: LiveMachine;
/** A shell with a variable, a file in memory and a counting process. */
let saved: string;
/** Of the guest, in seconds. */
let uptimeAtSave = 0;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'afterimage-test-'));
  original = await LiveMachine.start({ folder, memory: MEMORY });
  await original.prompt();
  await original.run('head -c 1000000 /dev/urandom >/tmp/data; sum=$(md5sum </tmp/data)');
  await original.run('check() { [ "$(md5sum </tmp/data)" = "$sum" ] && echo "same $word"; }; word=before');
  await original.run('(n=0; while :; do n=$((n+1)); echo $n >/tmp/count; sleep 0.05; done) & :');
  uptimeAtSave = Number(await said(original, 'cut -d. -f1 /proc/uptime'));
  saved = (await original.take({ full: true })).id;
  await original.run('word=after; rm /tmp/data');
}, 60_000);

afterAll(async () => {
  await original.stop();
  rmSync(folder, { recursive: true, force: true });
});

const running: LiveMachine[] = [];
afterEach(async () => {
  for (const machine of running.splice(0)) await machine.stop();
});

async function restore(
  id = saved,
  bring: NonNullable<Resume['bring']> = 'all',
  boot: BootSettings = { kernel: '/nowhere/kernel' },
): Promise<LiveMachine> {
  const machine = await LiveMachine.restore(original, id, { folder, memory: MEMORY, bring, boot });
  running.push(machine);
  return machine;
}

/** The last line that a command prints. What is typed before the prompt is there is echoed twice. */
const said = async (machine: LiveMachine, command: string) => (await machine.run(command)).trim().split('\n').at(-1);
const allThere = (machine: LiveMachine) =>
  machine.link.events.some(event => event.kind === 'absent-pages' && event.count === 0);

describe('a restored machine', () => {
  test.each([
    ['as they are used', 'used'],
    ['in the background', 'all'],
    ['before it starts', 'first'],
  ] as const)('whose pages come %s goes on where it was, without the files it was started from', async (_, bring) => {
    const machine = await restore(saved, bring);
    if (bring === 'first') expect(machine.engine.absentPages).toBe(0);
    if (bring === 'used') expect(machine.engine.absentPages).toBeGreaterThan(5000);
    const first = Number(await said(machine, 'cat /tmp/count'));
    expect(await said(machine, 'check')).toBe('same before');
    expect(Number(await said(machine, 'sleep 1; cat /tmp/count'))).toBeGreaterThan(first);
    if (bring === 'used') return;
    await machine.link.until('all pages', () => allThere(machine));
    expect(machine.engine.absentPages).toBe(0);
    expect(await said(machine, 'check')).toBe('same before');
  });

  test('may be restored twice at the same time; each is told that it is another one', async () => {
    const machines = await Promise.all([restore(), restore()]);
    const drawn = await Promise.all(machines.map(machine => machine.run('head -c 15 /dev/urandom | base64')));
    expect(drawn[0]).not.toBe(drawn[1]);
    await Promise.all(machines.map(machine => machine.run('grep vmgenid /proc/interrupts')));
  });

  test('knows what time it is, and how long it ran', async () => {
    const { takenAt } = original.tree.node(saved);
    // A clock that went on from the checkpoint would be seen to be late by then.
    while (Date.now() - takenAt < 4000) await new Promise(resolve => setTimeout(resolve, 100));
    const machine = await restore();
    const late = async () => Date.now() / 1000 - Number(await said(machine, 'date +%s'));
    // It hears of it in its own time. A clock that was not set stays as late as it was.
    while ((await late()) > 2.5);
    expect(await late()).toBeGreaterThan(-1);
    // Its own time goes on where it stood.
    const up = Number(await said(machine, 'cut -d. -f1 /proc/uptime'));
    const wall = (Date.now() - takenAt) / 1000;
    expect(up).toBeLessThan(uptimeAtSave + wall - 2);
  });

  test('takes a checkpoint while pages are absent: what it does not change is not saved again', async () => {
    const machine = await restore(saved, 'used');
    await machine.run('word=between');
    expect(machine.engine.absentPages).toBeGreaterThan(5000);
    const second = await machine.take();
    expect(second).toMatchObject({ incremental: true, parent: saved });
    const all = (await original.tree.sizes(saved)).own;
    expect(second.bytes).toBeLessThan(all / 3);
    await machine.stop();
    const again = await restore(second.id);
    expect(await said(again, 'check')).toBe('same between');
  });

  test('takes a full checkpoint while pages are absent, which needs no other', async () => {
    const machine = await restore(saved, 'used');
    await machine.run('word=whole');
    expect(machine.engine.absentPages).toBeGreaterThan(5000);
    const full = await machine.take({ full: true });
    expect(full.incremental).toBe(false);
    expect(full.pages).toBeGreaterThan(5000);
    const again = await restore(full.id);
    expect(await said(again, 'check')).toBe('same whole');
    expect(await original.tree.verify()).toMatchObject({ sound: true });
  });

  test('keeps the files that it needs when its checkpoint is deleted', async () => {
    const other = (
      await original.take({
        full: true,
        about: { name: 'other', note: '', origin: 'manual', machine: '{}', writer: 'test' },
      })
    ).id;
    // The machine that it was taken of builds on the newest.
    await original.take({ full: true });
    const machine = await restore(other, 'used');
    await original.tree.delete(other);
    expect(readdirSync(path.join(folder, 'checkpoints'))).toContain(`${other}.checkpoint`);
    expect(await said(machine, 'echo "$word"')).toBe('after');
    await machine.stop();
    await original.tree.collapse();
    expect(readdirSync(path.join(folder, 'checkpoints'))).not.toContain(`${other}.checkpoint`);
  });
});

describe('the guest of a restored machine', () => {
  test('restarts with the files that are there now', async () => {
    const guest = await ensureGuest();
    const boot = { kernel: guest.kernel, initrd: guest.initrd, append: guest.append };
    const machine = await restore(saved, 'all', boot);
    machine.type('reboot -f\n');
    await machine.link.until('the restart', () => machine.link.events.some(event => event.kind === 'restarted'));
    await machine.prompt();
    expect(await said(machine, 'echo "new$word"')).toBe('new');
  });

  test('cannot restart without them, which is told by name', async () => {
    const machine = await restore(saved, 'used');
    machine.type('reboot -f\n');
    await machine.engine.finished;
    expect(machine.link.events.at(-1)).toMatchObject({
      kind: 'failed',
      error: { kind: 'missing', context: { path: '/nowhere/kernel' } },
    });
  });
});

test('a checkpoint in memory is restored like one in a file', async () => {
  await original.run('word=inmemory');
  const { id } = await original.take({ store: 'ram' });
  const machine = await restore(id, 'used');
  expect(await said(machine, 'echo "$word"')).toBe('inmemory');
});

describe('a page that cannot be read', () => {
  const file = () => path.join(folder, 'checkpoints', `${saved}.checkpoint`);

  test('is told with its place; the machine waits for it, and goes on when it can be read', async () => {
    const content = readFileSync(file());
    const spoiled = Buffer.from(content);
    // All blocks, but neither header nor index, which lie at the ends.
    spoiled.fill(0x55, 4096, content.length - 1_500_000);
    writeFileSync(file(), spoiled);
    let machine: LiveMachine;
    try {
      machine = await restore();
      machine.type('\n');
      await machine.link.until('the news', () => machine.link.events.some(event => event.kind === 'page-unreadable'));
      const told = machine.link.events.find(event => event.kind === 'page-unreadable');
      expect(told).toMatchObject({
        error: { kind: 'corrupt', context: { offset: expect.any(Number), page: expect.any(Number) } },
      });
      await expect(machine.take()).rejects.toMatchObject({ kind: 'corrupt' });
      // A machine that waits can be stopped like any other.
      const stopped = await restore();
      stopped.type('\n');
      await stopped.link.until('the news', () => stopped.link.events.some(event => event.kind === 'page-unreadable'));
      await stopped.stop();
      expect(stopped.link.events.at(-1)).toMatchObject({ kind: 'stopped', summary: { reason: 'requested' } });
    } finally {
      writeFileSync(file(), content);
    }
    const before = machine.link.events.length;
    machine.link.command({ kind: 'resume' });
    expect(await said(machine, 'check')).toBe('same before');
    expect(machine.link.events.slice(before).some(event => event.kind === 'page-readable')).toBe(true);
  });
});
