import { expect, test } from 'vitest';
import { appletNames } from './busybox.ts';

const NAMES = ['[', '[[', 'ash', 'busybox', 'cat', 'insmod', 'modprobe', 'mount', 'ping6', 'poweroff', 'run-init'];
const MORE = ['sh', 'stty', 'umount', 'zcat'];

function program(before: string, names: readonly string[], after: string): Uint8Array {
  return Buffer.from(`${before}${names.join('\0')}\0${after}`, 'latin1');
}

test('the table is found among other texts and between constants that touch it', () => {
  const table = [...NAMES, ...MORE];
  expect(appletNames(program('\x7fELF\0busybox\0\0usage\0\x06\x06', table, '\x01\x02\0'))).toEqual(table);
  expect(appletNames(program('a\0', table, 'Not Sorted\0'))).toEqual(table);
});

test('a program without the table, or with one that lacks what the guest needs, is refused', () => {
  expect(() => appletNames(program('', ['busybox', 'sh'], '\0'))).toThrow('no list of applets');
  expect(() => appletNames(new Uint8Array())).toThrow('no list of applets');
});
