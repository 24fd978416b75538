// What the app suspends by itself goes on by itself.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { App } from './app.ts';
import { FakeMachines } from './fake-machines.ts';
import { FakePlatform } from './fake-platform.ts';

const CHECKPOINT = '0'.repeat(32);
let folder: string;
let machines: FakeMachines;
let platform: FakePlatform;
let app: App;

const open = () => {
  const parts = { platform: platform.platform(folder), machines, version: '1', now: () => 0, log: () => {} };
  return App.open(parts);
};
/** As the library says it once a machine is suspended. */
const suspended = (...ids: string[]) => {
  for (const id of ids) machines.change(id, { suspended: CHECKPOINT });
};
const started = () => machines.calls.filter(({ name }) => name === 'start').map(({ machine }) => machine);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'afterimage-put-away-'));
  [machines, platform] = [new FakeMachines(), new FakePlatform()];
  app = await open();
});

afterEach(async () => {
  await app.close();
  await rm(folder, { recursive: true, force: true });
});

test('all that was put away at the end goes on at the next start, and once only', async () => {
  const [one, two] = [machines.add('one', 'running'), machines.add('two', 'running')];
  const byUser = machines.add('by the user');
  suspended(byUser);
  expect(await app.mayQuit()).toBe(true);
  suspended(one, two);
  await app.close();
  app = await open();
  expect([...(await app.wake())].sort()).toEqual(['one', 'two']);
  expect(started().sort()).toEqual([one, two].sort());
  expect(await app.wake()).toEqual([]);
  expect(started()).toHaveLength(2);
});

test('what has changed since then is left as it is', async () => {
  const ids = ['gone', 'booted since', 'runs', 'fine'].map(name => machines.add(name, 'running'));
  const [gone, , runs, fine] = ids as [string, string, string, string];
  expect(await app.mayQuit()).toBe(true);
  suspended(gone, runs, fine);
  await machines.remove(gone, async () => {});
  await machines.call(runs, 'start', {});
  machines.calls.length = 0;
  expect(await app.wake()).toEqual(['fine']);
  expect(started()).toEqual([fine]);
});

test('what fails is told', async () => {
  const one = machines.add('one', 'running');
  expect(await app.mayQuit()).toBe(true);
  suspended(one);
  machines.answers.set('start', () => {
    throw new Error('no memory');
  });
  expect(await app.wake()).toEqual([]);
  expect(platform.notifications).toMatchObject([{ title: 'one was not started again', text: 'no memory' }]);
});

test('so does what slept with the computer, if sleeping suspends', async () => {
  await app.changeSettings({ onSleep: 'suspend' });
  const one = machines.add('one', 'running');
  const asleep = app.sleep();
  suspended(one);
  expect(await app.wake()).toEqual(['one']);
  await asleep;
});
