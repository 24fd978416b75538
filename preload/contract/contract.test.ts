import { expect, test } from 'vitest';
import { checkArguments, checkMachineArguments, checkName } from './check.ts';
import { fileKind } from './files.ts';
import { isMachineCall, MACHINE_CALLS } from './machine-calls.ts';

const MACHINE = '0123456789abcdef0123456789abcdef';
const FILE = `file-${MACHINE}`;
const usage = expect.objectContaining({ kind: 'usage' });

test('only names of the contract are calls', () => {
  expect(checkName('library')).toBe('library');
  for (const name of ['', 'constructor', '__proto__', 'toString', 'console-input', 7, null, {}]) {
    expect(() => checkName(name), String(name)).toThrow(usage);
  }
});

test('consoles, paths and other folders are not within reach of a machine call', () => {
  for (const name of ['clone', 'export', 'console-attach', 'console-input', 'console-detach', 'import', 'preview']) {
    expect(isMachineCall(name), name).toBe(false);
    expect(() => checkArguments('machine-call', { machine: MACHINE, name, arguments: {} })).toThrow(usage);
  }
  expect(Object.keys(MACHINE_CALLS).length).toBeGreaterThan(30);
});

test('what a call does not know is refused, not dropped', () => {
  expect(() => checkArguments('library', { folder: '/' })).toThrow(usage);
  expect(() => checkMachineArguments('start', { fresh: true, file: '/etc/passwd' })).toThrow(usage);
  expect(() => checkMachineArguments('configure', { change: { boot: { kind: 'files', kernel: '/x' } } })).toThrow(
    usage,
  );
});

test('stores are named by tokens, never by paths', () => {
  expect(checkMachineArguments('checkpoint', { store: 'ram' })).toEqual({ store: 'ram' });
  expect(checkMachineArguments('checkpoint', { store: `raw:${FILE}` })).toEqual({ store: `raw:${FILE}` });
  for (const store of ['raw:/dev/sda', 'raw:', `raw:${FILE}x`, 'RAM', '../file']) {
    expect(() => checkMachineArguments('checkpoint', { store }), store).toThrow(usage);
  }
});

test('layers stay inside the folder of their machine', () => {
  expect(checkMachineArguments('disk-map', { layer: 'disks/a.qcow2' })).toEqual({ layer: 'disks/a.qcow2' });
  for (const layer of ['', '/etc/passwd', '../b', 'disks/../../b', 'C:/x', 'a\\b', 'a\0']) {
    expect(() => checkMachineArguments('disk-map', { layer }), JSON.stringify(layer)).toThrow(usage);
  }
});

test('names are one line of text, without the blanks around it', () => {
  expect(checkArguments('rename-machine', { machine: MACHINE, name: '  Debian ✓ ' }).name).toBe('Debian ✓');
  for (const name of ['', '   ', 'a\nb', 'a\u001b[2J', 'a\u2028b', 'x'.repeat(101)]) {
    expect(() => checkArguments('rename-machine', { machine: MACHINE, name }), JSON.stringify(name)).toThrow(usage);
  }
});

test('only https addresses can be asked for', () => {
  expect(checkArguments('open-external', { url: 'https://www.debian.org/' }).url).toBe('https://www.debian.org/');
  for (const url of ['http://a.example/', 'file:///etc/passwd', 'javascript:alert(1)', 'HTTPS', 'https:', 'smb://x/']) {
    expect(() => checkArguments('open-external', { url }), url).toThrow(usage);
  }
});

test('an error says which argument of which call is wrong', () => {
  expect(() =>
    checkArguments('create-machine', { name: 'a', memory: 12345, boot: { kind: 'guest' }, disks: [] }),
  ).toThrow(expect.objectContaining({ context: expect.objectContaining({ call: 'create-machine', place: 'memory' }) }));
});

test('files are told apart by their names only', () => {
  const kinds = ['a.afterimage-checkpoint', 'A.QCOW2', 'disk.img', 'vmlinuz-6.12', 'Image', 'images.txt', 'notes'];
  expect(kinds.map(fileKind)).toEqual(['checkpoint', 'qcow2', 'raw', 'kernel', 'kernel', 'unknown', 'unknown']);
});

test('a screen whose lines were cut in the middle of a character is mended', () => {
  const screen = { columns: 80, rows: 1, lines: ['a\ud83d'] };
  expect(checkMachineArguments('checkpoint', { screen })).toMatchObject({ screen: { lines: ['a\ufffd'] } });
});
