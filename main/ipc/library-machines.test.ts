// The list of machines that pages get, while others work on the same library.
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runDisk } from '../cli/disk-client.ts';
import { MachineLibrary } from '../machines/library.ts';
import { JsonFile } from './json-file.ts';
import { LibraryMachines } from './library-machines.ts';
import { KnownFacts } from './machine-facts.ts';

const MEMORY = 64 * 1024 * 1024;

let folder: string;
let library: string;
let machines: LibraryMachines;
/** Another program's. */
let other: MachineLibrary;
let warnings: string[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'afterimage-library-'));
  library = path.join(folder, 'machines');
  await mkdir(library);
  other = new MachineLibrary({ folder: library });
  warnings = [];
  machines = await open();
});

afterEach(async () => {
  await machines.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<LibraryMachines> {
  return await LibraryMachines.open({
    library: new MachineLibrary({ folder: library }),
    facts: await KnownFacts.open(new JsonFile(path.join(folder, 'facts.json'))),
    guest: () => Promise.reject(new Error('no machine is started here')),
    runDisk: command => runDisk(command, () => {}),
    warn: text => warnings.push(text),
  });
}

const names = () => machines.view().machines.map(({ name }) => name);

test('what other programs create, rename and delete appears by itself', async () => {
  const { folder: made } = await other.create({ name: 'theirs', memory: MEMORY, disks: [] });
  await expect.poll(names).toEqual(['theirs']);
  await other.rename(made, 'theirs still');
  await expect.poll(names).toEqual(['theirs still']);
  await other.remove(made);
  await expect.poll(names).toEqual([]);
});

test('what we make is in the list at once, with an identity that stays', async () => {
  const id = await machines.create({ name: 'ours', memory: MEMORY, boot: { kind: 'guest' }, disks: [] });
  expect(machines.view().machines).toMatchObject([{ id, name: 'ours', status: { state: 'off' }, foreign: false }]);
  const copy = await machines.duplicate(id, 'copy');
  expect(copy).not.toBe(id);
  expect(names()).toEqual(['copy', 'ours']);
  await machines.rename(id, 'renamed');
  await expect.poll(names).toEqual(['copy', 'renamed']);
  expect(await machines.facts(id)).toMatchObject({ checkpoints: 0, disks: 0, folder: path.join(library, 'ours') });
});

test('a machine that is off and goes on at its next start says so', async () => {
  const { folder: made } = await other.create({ name: 'asleep', memory: MEMORY, disks: [] });
  const file = path.join(made, 'machine.json');
  const record = JSON.parse(await readFile(file, 'utf8'));
  const suspended = 'ab'.repeat(16);
  const suspend = (process: object) => writeFile(file, JSON.stringify({ ...record, process }));
  const shown = () => machines.view().machines.map(one => one.suspended);
  await suspend({ ...record.process, suspended });
  await expect.poll(shown).toEqual([suspended]);
  await suspend(record.process);
  await expect.poll(shown).toEqual([undefined]);
});

test('a folder moved within the library stays the same machine', async () => {
  const id = await machines.create({ name: 'ours', memory: MEMORY, boot: { kind: 'guest' }, disks: [] });
  await rename(path.join(library, 'ours'), path.join(library, 'elsewhere'));
  await expect
    .poll(() => machines.view().machines.map(one => [one.id, path.basename(one.folder)]))
    .toEqual([[id, 'elsewhere']]);
});

test('a folder that cannot be understood is listed with the reason, and can be deleted', async () => {
  await mkdir(path.join(library, 'broken'));
  await writeFile(path.join(library, 'broken/machine.json'), '{"name": "<b>half');
  await expect.poll(names).toEqual(['broken']);
  const [broken] = machines.view().machines;
  expect(broken).toMatchObject({ problem: { kind: 'corrupt' }, status: { state: 'off' } });
  expect(broken!.id).toMatch(/^[0-9a-f]{32}$/);
  await expect(machines.call(broken!.id, 'start', {})).rejects.toMatchObject({ kind: expect.any(String) });
  const discarded: string[] = [];
  await machines.remove(broken!.id, async item => {
    discarded.push(item);
    await rm(item, { recursive: true });
  });
  expect(discarded).toEqual([path.join(library, 'broken')]);
  expect(names()).toEqual([]);
});

test('a library that goes away is reported, and so is its return', async () => {
  await machines.create({ name: 'ours', memory: MEMORY, boot: { kind: 'guest' }, disks: [] });
  await rename(library, `${library}-away`);
  await expect.poll(() => machines.view().problem?.kind).toBe('missing');
  await expect.poll(names).toEqual([]);
  await rename(`${library}-away`, library);
  await expect.poll(() => machines.view().problem).toBeUndefined();
  await expect.poll(names).toEqual(['ours']);
});

test('sizes and screens are known again after a restart, without asking any process', async () => {
  const id = await machines.create({ name: 'ours', memory: MEMORY, boot: { kind: 'guest' }, disks: [] });
  machines.setScreen(id, { columns: 80, rows: 1, lines: ['login:'] });
  await expect.poll(() => machines.view().machines[0]?.bytes).toBeGreaterThan(0);
  await machines.close();
  machines = await open();
  expect(machines.view().machines[0]).toMatchObject({ screen: { lines: ['login:'] }, checkpoints: 0 });
  expect(machines.view().machines[0]?.bytes).toBeGreaterThan(0);
});
