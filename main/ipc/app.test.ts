import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { AppEvent } from '../../preload/contract/events.ts';
import { App, type PageConnection } from './app.ts';
import { FakeMachines } from './fake-machines.ts';
import { FakePlatform } from './fake-platform.ts';
import { isRunning, trayMenu } from './menus.ts';

interface Setting {
  readonly app: App;
  readonly page: PageConnection;
  readonly machines: FakeMachines;
  readonly platform: FakePlatform;
  readonly events: AppEvent[];
  readonly folder: string;
  readonly log: string[];
}

const toClose: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0)) await close();
});

async function open(folder?: string): Promise<Setting> {
  const own = folder ?? (await mkdtemp(path.join(tmpdir(), 'afterimage-app-')));
  const [machines, platform, events, log] = [new FakeMachines(), new FakePlatform(), [] as AppEvent[], [] as string[]];
  const app = await App.open({
    platform: platform.platform(own),
    machines,
    version: '1.2.3',
    now: () => 1_000_000,
    log: text => log.push(text),
  });
  const page = app.connect({ id: 1 }, event => events.push(event));
  toClose.push(async () => {
    await app.close();
    await rm(own, { recursive: true, force: true });
  });
  return { app, page, machines, platform, events, folder: own, log };
}

async function result(page: PageConnection, name: string, arguments_: unknown = {}) {
  const answer = await page.call(name, arguments_);
  if (!answer.ok) throw new Error(`${answer.error.kind}: ${answer.error.message}`);
  return answer.result as never;
}

const named = (events: readonly AppEvent[], name: AppEvent['event']) => events.filter(({ event }) => event === name);

test('a bad call is answered, with the kind of its mistake, and changes nothing', async () => {
  const { page, machines, log } = await open();
  for (const [name, arguments_] of [
    ['no-such-call', {}],
    ['library', { more: 1 }],
    ['delete-machine', { machine: '../..' }],
    [7, {}],
    ['machine-call', { machine: '0'.repeat(32), name: 'console-input', arguments: {} }],
  ] as const) {
    expect(await page.call(name, arguments_)).toMatchObject({ ok: false, error: { kind: 'usage' } });
  }
  expect(await page.call('delete-machine', { machine: '0'.repeat(32) })).toMatchObject({ error: { kind: 'missing' } });
  expect(machines.calls).toEqual([]);
  expect(log).toEqual([]);
});

test('a mistake of ours is logged once and answered without its insides', async () => {
  const { page, machines, log } = await open();
  const machine = machines.add('Debian', 'running');
  machines.answers.set('tree', () => {
    throw new TypeError('x is undefined');
  });
  const answer = await page.call('machine-call', { machine, name: 'tree', arguments: {} });
  expect(answer).toEqual({ ok: false, error: { kind: 'internal', message: 'x is undefined', context: {} } });
  expect(log).toEqual([expect.stringContaining('TypeError')]);
});

test('a page hears of every change of the library once a turn', async () => {
  const { machines, events } = await open();
  machines.add('one');
  machines.add('two');
  machines.add('three');
  await vi.waitFor(() => expect(named(events, 'library')).toHaveLength(1));
  expect(events.at(-1)).toMatchObject({ library: { machines: [{ name: 'one' }, { name: 'two' }, { name: 'three' }] } });
});

test('a new machine gets the paths of the files that were chosen, and no others', async () => {
  const { app, page, machines, folder } = await open();
  const kernel = path.join(folder, 'Image');
  await writeFile(kernel, 'MZ');
  const { token } = await app.files.add(kernel);
  const create = vi.spyOn(machines, 'create');
  const memory = 256 * 1024 * 1024;
  await result(page, 'create-machine', { name: 'own', memory, boot: { kind: 'files', kernel: token }, disks: [] });
  expect(create).toHaveBeenCalledWith({ name: 'own', memory, boot: { kind: 'files', kernel }, disks: [] });
  const unknown = `file-${'0'.repeat(32)}`;
  const boot = { kind: 'files', kernel: unknown };
  expect(await page.call('create-machine', { name: 'x', memory, boot, disks: [] })).toMatchObject({
    error: { kind: 'missing' },
  });
  expect(
    await page.call('create-machine', { name: 'x', memory, boot: { kind: 'files', kernel }, disks: [] }),
  ).toMatchObject({ error: { kind: 'usage' } });
});

test('an upload is told by its own name, not by where it waits', async () => {
  const { app, page, machines, folder } = await open();
  const upload = path.join(folder, 'upload-77');
  await writeFile(upload, 'x');
  const { token } = await app.files.add(upload, { owned: true, name: 'note $& 1.checkpoint' });
  vi.spyOn(machines, 'preview').mockRejectedValue(
    new AfterimageError('unsupported', `Cannot use ${upload}`, { path: upload, offset: 1 }),
  );
  expect(await page.call('preview-file', { file: token })).toEqual({
    ok: false,
    error: {
      kind: 'unsupported',
      message: 'Cannot use note $& 1.checkpoint',
      context: { path: 'note $& 1.checkpoint', offset: 1 },
    },
  });
});

test('deleting says what goes, and puts it into the trash', async () => {
  const { page, machines, platform } = await open();
  const machine = machines.add('Debian', 'running');
  expect(await result(page, 'deletion-preview', { machine })).toEqual({
    name: 'Debian',
    folder: '/library/Debian',
    bytes: 4096,
    checkpoints: 0,
    disks: 1,
    trash: true,
    running: true,
  });
  await result(page, 'delete-machine', { machine });
  expect(platform.trashed).toEqual(['/library/Debian']);
  expect(machines.view().machines).toEqual([]);
});

test('a quick snapshot from the tray ends in a notification with the pause', async () => {
  const { app, machines, platform } = await open();
  const ids = ['one', 'two', 'three'].map(name => machines.add(name, 'running'));
  machines.add('off');
  await vi.waitFor(() => expect(platform.tray).toEqual(trayMenu(machines.view().machines)));
  const menus = platform.tray.filter(entry => entry.kind === 'submenu');
  expect(menus.map(({ label }) => label)).toEqual(['one', 'two', 'three']);
  const action = menus[1]!.entries.find(entry => entry.kind === 'action' && entry.label === 'Quick Snapshot');
  await app.perform(action?.kind === 'action' ? action.action : { do: 'quit' });
  expect(machines.calls).toMatchObject([{ machine: ids[1], name: 'checkpoint' }]);
  expect(platform.notifications).toMatchObject([{ title: 'two', text: 'Saved. The machine paused for 312 µs.' }]);
  platform.shortcut?.action();
  await vi.waitFor(() => expect(platform.notifications).toHaveLength(4));
});

test('a snapshot that fails is told, not thrown', async () => {
  const { app, machines, platform } = await open();
  const machine = machines.add('Debian', 'running');
  machines.answers.set('checkpoint', () => {
    throw new Error('disk on fire');
  });
  await app.perform({ do: 'quick-snapshot', machine });
  expect(platform.notifications).toMatchObject([{ text: 'disk on fire' }]);
});

test('settings are kept, and what a file has that cannot be is passed over one by one', async () => {
  const first = await open();
  await result(first.page, 'change-settings', { change: { theme: 'dark', consoleFontSize: 18 } });
  expect(first.platform.theme).toBe('dark');
  const file = path.join(first.folder, 'data/settings.json');
  const kept = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...kept, onQuit: 'explode', consoleScrollback: -1, evil: true }));
  const second = await open(first.folder);
  expect(await result(second.page, 'settings')).toMatchObject({
    theme: 'dark',
    consoleFontSize: 18,
    onQuit: 'suspend',
  });
  expect(await result(second.page, 'settings')).not.toHaveProperty('evil');
});

test('activity follows jobs in place and outlives a restart', async () => {
  const { app, page, machines, folder } = await open();
  const machine = machines.add('Debian', 'running');
  const job = { job: 1, kind: 'commit', subject: 'vda', done: 0, total: 10, startedAt: 5, state: 'running' } as const;
  machines.emit(machine, { event: 'job', job });
  machines.emit(machine, { event: 'job', job: { ...job, done: 5 } });
  const entries = (await result(page, 'activity')) as { what: unknown }[];
  expect(entries).toMatchObject([{ machineName: 'Debian', what: { kind: 'job', job: { done: 5 } } }]);
  await app.close();
  const again = await open(folder);
  expect(await result(again.page, 'activity')).toMatchObject([{ what: { job: { state: 'cancelled' } } }]);
});

test('a crash is told with what to make of it', async () => {
  const { machines, platform, events, page } = await open();
  const machine = machines.add('Debian', 'running');
  machines.crash(machine);
  expect(platform.notifications).toMatchObject([{ title: 'Debian has ended' }]);
  expect(named(events, 'notice')).toHaveLength(1);
  expect(await result(page, 'activity')).toMatchObject([{ what: { kind: 'crashed' } }]);
});

test('an address is opened only after the user agreed, exactly as it was shown', async () => {
  const { page, platform } = await open();
  platform.answer = 1;
  expect(await result(page, 'open-external', { url: 'https://a.example/x' })).toEqual({ opened: false });
  expect(platform.opened).toEqual([]);
  platform.answer = 0;
  await result(page, 'open-external', { url: 'https://a.example/x y' });
  expect(platform.opened).toEqual(['https://a.example/x%20y']);
  expect(platform.questions.at(-1)?.detail).toContain('https://a.example/x%20y');
});

test('quitting suspends what runs here and leaves alone what another program runs', async () => {
  const { app, machines, events } = await open();
  const own = machines.add('own', 'running');
  const foreign = machines.add('foreign', 'running');
  machines.change(foreign, { foreign: true });
  expect(await app.mayQuit()).toBe(true);
  expect(machines.calls).toMatchObject([{ machine: own, name: 'suspend' }]);
  expect(named(events, 'quitting')).toEqual([{ event: 'quitting', machines: [own] }]);
});

test('a machine that cannot be put away keeps the app open, unless the user gives it up', async () => {
  const { app, machines, platform } = await open();
  const machine = machines.add('own', 'running');
  machines.answers.set('suspend', () => {
    throw new Error('no room');
  });
  platform.answer = 1;
  expect(await app.mayQuit()).toBe(false);
  expect(isRunning(app.machine(machine))).toBe(true);
  platform.answer = 0;
  expect(await app.mayQuit()).toBe(true);
  expect(machines.calls.at(-1)).toMatchObject({ name: 'stop', arguments: { force: true } });
});

test('asked at quitting, the user decides', async () => {
  const { app, page, machines, platform } = await open();
  machines.add('own', 'running');
  await result(page, 'change-settings', { change: { onQuit: 'ask' } });
  platform.answer = 2;
  expect(await app.mayQuit()).toBe(false);
  expect(machines.calls).toEqual([]);
  platform.answer = 1;
  expect(await app.mayQuit()).toBe(true);
  expect(machines.calls.map(({ name }) => name)).toEqual(['stop']);
});

test('before sleep there is an automatic checkpoint of each machine, one failure or not', async () => {
  const { app, machines, platform } = await open();
  machines.add('one', 'running');
  machines.add('two', 'running');
  let first = true;
  machines.answers.set('checkpoint', () => {
    if (!first) return {};
    first = false;
    throw new Error('busy');
  });
  await app.sleep();
  expect(machines.calls).toMatchObject([
    { name: 'checkpoint', arguments: { origin: 'automatic' } },
    { name: 'checkpoint', arguments: { origin: 'automatic' } },
  ]);
  expect(platform.notifications).toHaveLength(1);
});

test('a file of the system waits for the page, and comes as an event once the page listens', async () => {
  const { app, page, events, folder } = await open();
  const file = path.join(folder, 'a.afterimage-checkpoint');
  await writeFile(file, 'x');
  await app.openFile(file);
  expect(named(events, 'file-opened')).toEqual([]);
  expect(await result(page, 'opened-files')).toMatchObject([{ name: 'a.afterimage-checkpoint', kind: 'checkpoint' }]);
  expect(await result(page, 'opened-files')).toEqual([]);
  await app.openFile(file);
  expect(named(events, 'file-opened')).toMatchObject([{ file: { kind: 'checkpoint', bytes: 1 } }]);
});

test('a node is dragged out as a file with its name, once that has been made', async () => {
  const { page, machines, platform } = await open();
  const machine = machines.add('Debian: a/b', 'running');
  const { id } = await machines.call(machine, 'checkpoint', { name: '..\\evil/<name>' });
  expect(await result(page, 'start-drag', { machine, id })).toEqual({ started: false });
  const prepared = (await result(page, 'prepare-drag', { machine, id })) as { name: string };
  expect(prepared.name).toBe('Debian_ a_b - .._evil_name_.afterimage-checkpoint');
  expect(await result(page, 'start-drag', { machine, id })).toEqual({ started: true });
  expect(path.basename(platform.dragged[0]!)).toBe(prepared.name);
  expect(await readFile(platform.dragged[0]!, 'utf8')).toBe('a checkpoint');
});

test('an export that fails leaves neither a part nor the file that was there damaged', async () => {
  const { page, machines, platform, folder } = await open();
  const machine = machines.add('Debian', 'running');
  const { id } = await machines.call(machine, 'checkpoint', {});
  platform.saveTo = path.join(folder, 'mine');
  await writeFile(platform.saveTo, 'before');
  machines.answers.set('export', async ({ file }: { file: string }) => {
    await writeFile(file, 'half');
    throw new Error('no room');
  });
  expect(await page.call('export-checkpoint', { machine, id })).toMatchObject({ ok: false });
  expect(await readFile(platform.saveTo, 'utf8')).toBe('before');
  machines.answers.delete('export');
  expect(await result(page, 'export-checkpoint', { machine, id })).toEqual({ saved: platform.saveTo, bytes: 12 });
  expect(await readFile(platform.saveTo, 'utf8')).toBe('a checkpoint');
});

test('nothing is left when the app ends', async () => {
  const { app, machines, page, folder } = await open();
  const machine = machines.add('Debian', 'running');
  const { id } = await machines.call(machine, 'checkpoint', {});
  await result(page, 'prepare-drag', { machine, id });
  expect(existsSync(path.join(folder, 'temporary'))).toBe(true);
  await app.close();
  expect(existsSync(path.join(folder, 'temporary'))).toBe(false);
  expect(machines.closed).toBe(true);
});
