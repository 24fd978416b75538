import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from './lock.ts';

let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'afterimage-lock-'));
  file = path.join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the second waits until the first gives the lock back', async () => {
  const order: string[] = [];
  const first = await takeLock(file);
  let told: ((holder: { pid: number }) => void) | undefined;
  const waiting = new Promise<{ pid: number }>(resolve => {
    told = resolve;
  });
  const second = takeLock(file, { interval: 1, onWait: told! }).then(lock => {
    order.push('second');
    return lock;
  });
  expect(await waiting).toEqual({ pid: process.pid });
  order.push('first done');
  await first[Symbol.asyncDispose]();
  await (await second)[Symbol.asyncDispose]();
  expect(order).toEqual(['first done', 'second']);
  expect(readdirSync(folder)).toEqual([]);
});

test('many at once get it one after another', async () => {
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      await using _lock = await takeLock(file, { interval: 1 });
      inside += 1;
      most = Math.max(most, inside);
      await new Promise(resolve => setImmediate(resolve));
      inside -= 1;
    }),
  );
  expect(most).toBe(1);
});

test('the lock of a process that has ended is taken over', async () => {
  const ended = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(file, JSON.stringify({ pid: ended.pid, host: hostname() }));
  await using _lock = await takeLock(file, { interval: 1 });
  expect(existsSync(file)).toBe(true);
});

test('a process that was given the number of the former holder is not mistaken for it', async () => {
  const other = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    writeFileSync(file, JSON.stringify({ pid: other.pid, host: hostname(), started: 'another boot/1' }));
    await using _lock = await takeLock(file, { interval: 1 });
    expect(existsSync(file)).toBe(true);
  } finally {
    other.kill();
  }
});

test.each(['', '{', '[]', '{"pid":-1,"host":"x"}', '{"pid":"1"}'])('a lock that says "%s" holds nobody', async text => {
  writeFileSync(file, text);
  await using _lock = await takeLock(file, { interval: 1 });
  expect(existsSync(file)).toBe(true);
});

test('a holder on another host is waited for, until the caller gives up', async () => {
  writeFileSync(file, JSON.stringify({ pid: 1, host: `not-${hostname()}` }));
  const abort = new AbortController();
  const waiting = takeLock(file, { interval: 1, signal: abort.signal, onWait: () => abort.abort() });
  await expect(waiting).rejects.toThrow(/abort/i);
  expect(readdirSync(folder)).toEqual(['lock']);
});
