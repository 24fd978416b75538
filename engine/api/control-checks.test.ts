import { expect, it } from 'vitest';
import { CALL_CHECKS, checkArguments, checkFolderArguments, isCallName } from './control-checks.ts';

const id = 'a'.repeat(32);

it('takes arguments as they are meant, and a field without a value for none', () => {
  expect(checkArguments('start', { fresh: undefined, paused: true })).toEqual({ paused: true });
  expect(checkArguments('restore', { id, keepCurrent: true })).toEqual({ id, keepCurrent: true });
  expect(checkArguments('console-input', { bytes: Uint8Array.of(1) })).toEqual({ bytes: Uint8Array.of(1) });
  expect(
    checkArguments('checkpoint', { store: 'raw:/dev/x', screen: { columns: 1, rows: 1, lines: ['a'] } }),
  ).toBeDefined();
});

it.each([
  ['start', { fresh: 1 }, 'fresh'],
  ['start', { more: 1 }, 'more'],
  ['start', null, undefined],
  ['restore', { id: 'A'.repeat(32) }, 'id'],
  ['restore', {}, 'id'],
  ['checkpoint', { store: 'disk' }, 'store'],
  ['checkpoint', { name: 'a\0b' }, 'name'],
  ['checkpoint', { name: 'a\ud800' }, 'name'],
  ['console-input', { bytes: 'text' }, 'bytes'],
  ['console-resize', { rows: 0, columns: 80 }, 'rows'],
  ['disk-map', { layer: '../x' }, 'layer'],
  ['disk-map', { layer: '/x' }, 'layer'],
  ['disk-map', { layer: 'a//b' }, 'layer'],
  ['disk-map', { layer: 'c:x' }, 'layer'],
  ['disk-job', { disk: 6, kind: 'commit' }, 'disk'],
  ['configure', { change: { memory: 1 } }, 'change.memory'],
  ['configure', { change: { disks: [{ file: 'a', format: 'vmdk', mode: 'persistent' }] } }, 'change.disks.0.format'],
  ['exec', { command: 'x', timeoutSeconds: Number.NaN }, 'timeoutSeconds'],
] as const)('refuses %s with %j, naming the field', (name, value, field) => {
  try {
    checkArguments(name, value);
  } catch (thrown) {
    expect(thrown).toMatchObject({ kind: 'usage', context: { field } });
    return;
  }
  expect.unreachable();
});

it('refuses a list', () => {
  expect(() => checkArguments('start', [])).toThrow(expect.objectContaining({ kind: 'usage' }));
});

it('bounds names and what is typed at once', () => {
  expect(() => checkArguments('checkpoint', { name: 'x'.repeat(201) })).toThrow(/name/);
  expect(() => checkArguments('console-input', { bytes: new Uint8Array(2 ** 20 + 1) })).toThrow(/bytes/);
});

it('refuses what is nested without an end', () => {
  let deep: unknown = {};
  for (let level = 0; level < 10_000; level += 1) deep = { deep };
  expect(() => checkArguments('configure', { change: deep })).toThrow(expect.objectContaining({ kind: 'usage' }));
});

it('knows every call and nothing else', () => {
  for (const name of Object.keys(CALL_CHECKS)) expect(isCallName(name)).toBe(true);
  for (const name of ['', 'toString', '__proto__', 'constructor', 'create']) expect(isCallName(name)).toBe(false);
  expect(() => checkFolderArguments('import', { file: '', folder: 'x' })).toThrow(
    expect.objectContaining({ kind: 'usage' }),
  );
});
