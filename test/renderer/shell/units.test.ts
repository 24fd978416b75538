// The parts of the shell that need no page: figures, keys, ranking, the queue of what is typed.
import { expect, test } from 'vitest';
import { matches, showKeys } from '../../../renderer/app/keys.ts';
import { rank } from '../../../renderer/app/rank.ts';
import { HELP, KEYS } from '../../../renderer/app/shortcuts.ts';
import { InputQueue, PIECE_BYTES } from '../../../renderer/terminal/input-queue.ts';
import { explain } from '../../../renderer/text/errors.ts';
import { formatAge, formatBytes, formatDuration, formatPause, plural } from '../../../renderer/text/format.ts';
import { accelerator, showAccelerator } from '../../../renderer/views/settings/accelerator.ts';

test('sizes are told in binary units with the digits that matter', () => {
  const cases = [0, 1, 1023, 1024, 1536, 10 * 1024, 1023.6 * 1024, 512 * 1024 ** 2, 3.44 * 1024 ** 3];
  expect(cases.map(formatBytes)).toEqual([
    '0 bytes',
    '1 byte',
    '1023 bytes',
    '1 KiB',
    '1.5 KiB',
    '10 KiB',
    '1.0 MiB',
    '512 MiB',
    '3.4 GiB',
  ]);
});

test('a size never shows a unit that the next one replaces', () => {
  for (let bytes = 1; bytes < 2 ** 50; bytes = Math.ceil(bytes * 1.01)) {
    expect(formatBytes(bytes)).not.toMatch(/^(102[4-9]|10[3-9]\d) /);
  }
});

test('pauses are told in microseconds, long ones in milliseconds', () => {
  expect([0, 412, 3020, 99_999, 120_400].map(formatPause)).toEqual([
    '0 µs',
    '412 µs',
    '3,020 µs',
    '99,999 µs',
    '120 ms',
  ]);
});

test('durations and ages', () => {
  const second = 1000;
  expect([0, 830, 999.9, 9949, 59_499, 3600 * second, 27 * 3600 * second].map(formatDuration)).toEqual([
    '0 ms',
    '830 ms',
    '1.0 s',
    '9.9 s',
    '59 s',
    '1 h 00 min',
    '1 d 3 h',
  ]);
  const now = new Date(2026, 4, 21, 12).getTime();
  const hours = 3600 * second;
  expect([0, 300 * second, 3 * hours, 25 * hours, 72 * hours].map(ago => formatAge(now - ago, now))).toEqual([
    'just now',
    '5 min ago',
    '3 h ago',
    'yesterday',
    '3 days ago',
  ]);
  expect(formatAge(new Date(2024, 0, 3).getTime(), now)).toBe('3 Jan 2024');
  expect([plural(1, 'machine'), plural(2000, 'machine')]).toEqual(['1 machine', '2,000 machines']);
});

test('an error says what to do and which file it is about', () => {
  const { text, advice } = explain({
    kind: 'no-space',
    message: 'The checkpoint could not be written',
    context: { path: '/data/x', offset: 3 },
  });
  expect(text).toBe('The checkpoint could not be written');
  expect(advice).toBe('File: /data/x. Free some space on the disk, then try again.');
});

const key = (over: Partial<KeyboardEvent>) =>
  ({ ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, code: '', key: '', ...over }) as KeyboardEvent;

test('keys are those of the system', () => {
  const control = key({ ctrlKey: true, key: 'k' });
  const command = key({ metaKey: true, key: 'k' });
  expect(matches(KEYS.palette, control, 'linux')).toBe(true);
  expect(matches(KEYS.palette, control, 'macos')).toBe(false);
  expect(matches(KEYS.palette, command, 'macos')).toBe(true);
  expect(matches(KEYS.palette, key({ ctrlKey: true, shiftKey: true, key: 'K' }), 'linux')).toBe(false);
  expect(showKeys(KEYS.checkpoint, 'macos')).toBe('⌘⇧S');
  expect(showKeys(KEYS.checkpoint, 'windows')).toBe('Ctrl+Shift+S');
});

test('digits are recognised by their place, whatever Shift makes of them', () => {
  const pressed = key({ ctrlKey: true, shiftKey: true, code: 'Digit2', key: '"' });
  expect(matches(KEYS.tab2, pressed, 'linux')).toBe(true);
  expect(matches(KEYS.tab3, pressed, 'linux')).toBe(false);
});

test('no two shortcuts have the same keys, and the help knows all of them', () => {
  const all = Object.values(KEYS);
  expect(new Set(all).size).toBe(all.length);
  expect(HELP.map(line => line.name).sort()).toEqual(Object.keys(KEYS).sort());
});

test('the palette finds by first letters of words before letters here and there', () => {
  const items = ['Restart', 'Show folder', 'Settings', 'Start', 'Use light theme'];
  const find = (typed: string) => rank(typed, items, item => item);
  expect(find('start')[0]).toBe('Start');
  expect(find('sf')[0]).toBe('Show folder');
  expect(find('ult')).toEqual(['Use light theme']);
  expect(find('')).toEqual(items);
  expect(find('xyz')).toEqual([]);
});

test('a global shortcut needs more than a letter', () => {
  const pressed = { code: 'KeyS', key: 's' };
  expect(accelerator(key(pressed), 'linux')).toBeUndefined();
  expect(accelerator(key({ ...pressed, shiftKey: true }), 'linux')).toBeUndefined();
  expect(accelerator(key({ code: 'ControlLeft', key: 'Control', ctrlKey: true }), 'linux')).toBeUndefined();
  const made = accelerator(key({ ...pressed, ctrlKey: true, altKey: true }), 'linux');
  expect(made).toBe('CommandOrControl+Alt+S');
  expect(showAccelerator(made!, 'linux')).toBe('Ctrl+Alt+S');
});

test('what is typed goes in order, one piece after the other is taken', async () => {
  const sent: Uint8Array[] = [];
  const taken: (() => void)[] = [];
  const waiting: number[] = [];
  const queue = new InputQueue(
    bytes => {
      sent.push(bytes);
      return new Promise(resolve => taken.push(resolve));
    },
    bytes => waiting.push(bytes),
  );
  const text = Uint8Array.from({ length: 3 * PIECE_BYTES + 7 }, (_, index) => index % 251);
  queue.add(text);
  queue.add(Uint8Array.of(1, 2));
  expect(sent.length).toBe(1);
  while (sent.length < 5) {
    taken.at(-1)!();
    await Promise.resolve();
    await Promise.resolve();
  }
  taken.at(-1)!();
  await Promise.resolve();
  await Promise.resolve();
  expect(Buffer.concat(sent)).toEqual(Buffer.concat([text, Uint8Array.of(1, 2)]));
  expect(waiting.at(-1)).toBe(0);
});

test('a paste that is stopped sends no more, and typing goes on after it', async () => {
  const sent: Uint8Array[] = [];
  let take = () => {};
  let left = -1;
  const queue = new InputQueue(
    bytes => {
      sent.push(bytes);
      return new Promise<void>(resolve => {
        take = resolve;
      });
    },
    bytes => {
      left = bytes;
    },
  );
  queue.add(new Uint8Array(10 * PIECE_BYTES));
  queue.clear();
  expect(left).toBe(0);
  take();
  await Promise.resolve();
  await Promise.resolve();
  queue.add(Uint8Array.of(7));
  expect(sent.map(piece => piece.length)).toEqual([PIECE_BYTES, 1]);
});

test('a machine that takes nothing any more empties the queue', async () => {
  let left = -1;
  const queue = new InputQueue(
    () => Promise.reject(new Error('off')),
    bytes => {
      left = bytes;
    },
  );
  queue.add(new Uint8Array(3 * PIECE_BYTES));
  await Promise.resolve();
  await Promise.resolve();
  expect(left).toBe(0);
});
