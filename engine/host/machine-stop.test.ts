import { expect, test } from 'vitest';
import { isAtPrompt, screenOf } from './machine-stop.ts';

const PROMPT = 'root@afterimage:~# ';
const shows = (text: string) => isAtPrompt({ recent: () => new TextEncoder().encode(text) });

test.each([
  [PROMPT, true],
  [`total 0\r\n${PROMPT}\u001b[6n`, true],
  [`\r\nroot@afterimage:/data/a b# `, true],
  [`${PROMPT}[   11.857178] EXT4-fs error (device vda): bad\r\n[   11.857480] EXT4-fs error\r\n`, true],
  [`${PROMPT}ls`, false],
  [`${PROMPT}[   11.857178] EXT4-fs error\r\nls`, false],
  [`${PROMPT}cat\r\n[1.5] not the kernel's\r\n`, false],
  ['login: ', false],
  ['', false],
])('%j is a shell that waits: %s', (text, waits) => {
  expect(shows(text)).toBe(waits);
});

test('a screen whose edge cuts a character in two can be kept all the same', () => {
  const console = { recent: () => new TextEncoder().encode(`${'x'.repeat(79)}\u{1f680}\r\n`) };
  const { lines } = screenOf(console as unknown as Parameters<typeof screenOf>[0]);
  expect(lines[0]?.isWellFormed()).toBe(true);
});
