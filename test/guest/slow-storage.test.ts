// A guest on storage whose every call takes long: a library that is loaded before libc makes it so for the files of its
// disks. The thread that serves console and control socket must hardly wait for it, and what is read must be right.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { connect, createMachine, type Owner, ownUntilEnd } from '../host/machine-owner.ts';

const MIB = 2 ** 20;
const DELAY_MILLISECONDS = 30;
/** What the thread may wait for all files together (engine/host/prompt-calls.ts), and what it has saved up. */
const SHARE = 0.1;
const SAVED_MILLISECONDS = 10;

let place: string;
let machine: Owner;
let counts: string;

interface Waited {
  readonly calls: number;
  readonly milliseconds: number;
}

/** Of the thread that everything goes through, and of the pool. */
function waited(): { main: Waited; pool: Waited } {
  const words = new BigUint64Array(Uint8Array.from(readFileSync(counts)).buffer);
  const at = (index: number) => ({ calls: Number(words[index]), milliseconds: Number(words[index + 1]) / 1e6 });
  return { main: at(0), pool: at(2) };
}

beforeAll(async () => {
  place = mkdtempSync(path.join(os.tmpdir(), 'afterimage-test-'));
  const library = path.join(place, 'delay.so');
  const source = path.join(import.meta.dirname, 'slow-storage', 'delay.c');
  execFileSync('gcc', ['-shared', '-fPIC', '-O2', '-Wall', '-Werror', '-o', library, source, '-ldl']);
  counts = path.join(place, 'counts');
  writeFileSync(counts, new Uint8Array(4096));
  const folder = path.join(place, 'machine');
  const { kernel, initrd, append } = await ensureGuest();
  // The guest makes a file system of the first one.
  const first = { kind: 'new', size: 16 * MIB, format: 'qcow2' } as const;
  const second = { ...first, size: 32 * MIB };
  await createMachine(folder, { memory: 128 * MIB, disks: [first, second] });
  const slow = {
    LD_PRELOAD: library,
    SLOW_COUNTS: counts,
    SLOW_PART: `${folder}/disks/`,
    SLOW_MILLISECONDS: String(DELAY_MILLISECONDS),
  };
  Object.assign(process.env, slow);
  machine = ownUntilEnd(folder);
  for (const name of Object.keys(slow)) delete process.env[name];
  await machine.connection.call('start', { guest: { kernel, initrd, append }, consoleSize: { rows: 24, columns: 80 } });
  await said('true');
}, 120_000);

afterAll(async () => {
  machine?.connection.close();
  machine?.engine.kill();
  await machine?.exit;
  rmSync(place, { recursive: true, force: true });
});

async function said(command: string): Promise<string> {
  const { status, output } = await machine.connection.call('exec', { command, timeoutSeconds: 120 });
  expect(status, output).toBe(0);
  return output.trim();
}

/** A checkpoint's overlay, so that the chain has more files on the slow disk. */
async function overlay(): Promise<void> {
  const { job } = await machine.connection.call('disk-job', { disk: 1, kind: 'overlay' });
  const ended = async () => (await machine.connection.call('jobs', {})).find(one => one.job === job)?.state;
  for (;;) {
    const seen = machine.events.length;
    const state = await ended();
    if (state === 'done') return;
    expect(state).toBe('running');
    await machine.until('the overlay', () => machine.events.length > seen);
  }
}

test('a slow disk slows down nobody but those who wait for it, and gives what was written', async () => {
  const socket = await connect(path.join(place, 'machine'));
  const before = waited();
  const began = performance.now();
  await said('dd if=/dev/urandom of=/dev/shm/a bs=4k count=1024 2>/dev/null');
  for (const part of [0, 1, 2, 3]) {
    await said(
      `dd if=/dev/shm/a of=/dev/vdb bs=4k skip=${part * 256} seek=${part * 512} count=256 conv=fsync 2>/dev/null`,
    );
    await overlay();
  }
  const back = 'for i in 0 1 2 3; do dd if=/dev/vdb bs=4k skip=$((i*512)) count=256 2>/dev/null; done';
  const sum = await said('sha256sum < /dev/shm/a');
  await said('echo 3 > /proc/sys/vm/drop_caches');
  // Small random reads go on behind while others want something: through the socket, and the guest's shell.
  await said(`(${back}) > /dev/shm/b & echo $! > /dev/shm/reader`);
  let answers = 0;
  let shell = 0;
  for (let reading = true; reading; shell += 1) {
    for (let count = 0; count < 20; count += 1, answers += 1) {
      expect((await socket.connection.call('status', {})).state).toBe('running');
    }
    reading = (await said('kill -0 $(cat /dev/shm/reader) 2>/dev/null && echo reading || echo done')) === 'reading';
  }
  expect(await said('sha256sum < /dev/shm/b')).toBe(sum);
  const elapsed = performance.now() - began;
  const now = waited();
  const main = now.main.milliseconds - before.main.milliseconds;
  const pool = now.pool.calls - before.pool.calls;
  // The storage was slow indeed, and almost nobody but the pool has waited for it.
  expect(pool).toBeGreaterThan(50);
  expect(main).toBeLessThan(SHARE * elapsed + SAVED_MILLISECONDS + 2 * DELAY_MILLISECONDS);
  expect(answers).toBeGreaterThanOrEqual(20);
  expect(shell).toBeGreaterThanOrEqual(1);
}, 180_000);
