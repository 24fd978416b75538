import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { Gate } from './gate.ts';

const DAY = 24 * 3600 * 1000;
const KEY = new Uint8Array(32).fill(3);
let now = 1_800_000_000_000;
const gate = (key: Uint8Array = KEY) => new Gate(1, [], key, () => now);

test('a pass is taken by every host with its key, and by no other', () => {
  const pass = gate().newPass();
  expect(gate().isPass(pass)).toBe(true);
  expect(gate(new Uint8Array(32)).isPass(pass)).toBe(false);
  expect(gate().newPass()).not.toBe(pass);
});

test('a pass that was changed anywhere is none, nor is anything else', () => {
  const pass = gate().newPass();
  for (let at = 0; at < pass.length; at++) {
    const other = pass[at] === '0' ? '1' : '0';
    expect(gate().isPass(pass.slice(0, at) + other + pass.slice(at + 1)), String(at)).toBe(false);
  }
  for (const given of ['', undefined, null, 7, {}, [pass], `${pass}0`, ` ${pass}`, gate().token]) {
    expect(gate().isPass(given)).toBe(false);
  }
});

test('a pass that was not used for a week is forgotten', () => {
  const pass = gate().newPass();
  now += 7 * DAY - 1;
  expect(gate().isPass(pass)).toBe(true);
  now += 1;
  expect(gate().isPass(pass)).toBe(false);
});

test('a cookie is of one run alone', () => {
  const first = gate();
  const asked = { headers: {} } as IncomingMessage;
  const cookie = first.letIn(asked).split(';')[0]!;
  const again = { headers: { cookie } } as IncomingMessage;
  expect([first.hasSession(again), gate().hasSession(again)]).toEqual([true, false]);
});
