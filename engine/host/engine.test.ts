import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { SmallEngine, smallSettings } from '../../test/host/small-engine.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { INPUT_WINDOW, OUTPUT_WINDOW } from '../api/messages.ts';

const MEGABYTE = 1_000_000;

describe('engine process', () => {
  it.each([
    ['stop 0', 'poweroff', 0],
    ['stop 3', 'poweroff', 3],
    ['fail 9', 'fail', 9],
    ['exit 1', 'exit', 1],
    ['limit', 'limit', 0],
  ])('runs a machine to its end: %s', async (mode, reason, code) => {
    const engine = new SmallEngine();
    engine.start(mode);
    const { summary } = await engine.event('stopped');
    expect(summary).toEqual({ reason, code, instructions: 1000, guestErrors: { 'small: something': 2 } });
    expect(engine.events.map(event => event.kind)).toEqual(['started', 'stopped']);
    expect(await engine.exit).toEqual({ code: 0, signal: null, lastWords: '' });
  });

  it('restarts a guest that resets itself, and counts on', async () => {
    const engine = new SmallEngine();
    engine.start('restart 3');
    expect((await engine.event('stopped')).summary).toMatchObject({ reason: 'poweroff', code: 3, instructions: 4000 });
    expect(engine.events.filter(event => event.kind === 'restarted')).toHaveLength(3);
  });

  it('says what it is', async () => {
    const engine = new SmallEngine();
    engine.client.send({ kind: 'describe' });
    expect((await engine.event('description')).description).toEqual({ isa: 'rv64i', privileges: ['m'], mmu: [] });
    engine.client.send({ kind: 'stop' });
    expect((await engine.event('stopped')).summary).toMatchObject({ reason: 'requested', instructions: 0 });
    expect(await engine.exit).toMatchObject({ code: 0 });
  });

  it('gives the console of a sleeping guest what is typed, and the window its size', async () => {
    const engine = new SmallEngine();
    engine.start('talk', { consoleSize: { rows: 24, columns: 80 } });
    await engine.until('the greeting', () => engine.text.includes('# '));
    expect(engine.text).toBe('[24x80]hello from talk\r\n# ');
    engine.client.send({ kind: 'console-input', bytes: Buffer.from('abc') });
    await engine.until('the echo', () => engine.text.endsWith('abc'));
    engine.client.send({ kind: 'resize', size: { rows: 50, columns: 132 } });
    await engine.until('the size', () => engine.text.endsWith('[50x132]'));
    engine.client.send({ kind: 'console-input', bytes: Buffer.from('off\n') });
    expect((await engine.event('stopped')).summary.reason).toBe('poweroff');
    expect(engine.accepted).toBe(7);
  });

  it('pauses and resumes', async () => {
    const engine = new SmallEngine();
    engine.start('talk');
    await engine.until('the greeting', () => engine.text.includes('# '));
    engine.client.send({ kind: 'pause' });
    await engine.until('the pause', () => engine.text.endsWith('[paused]'));
    engine.client.send({ kind: 'console-input', bytes: Buffer.from('typed meanwhile') });
    engine.client.send({ kind: 'resume' });
    await engine.until('the echo', () => engine.text.endsWith('[paused][resumed]typed meanwhile'));
  });

  it.each(['sleep', 'spin'])('stops a machine when told to: %s', async mode => {
    const engine = new SmallEngine();
    engine.start(mode);
    await engine.event('started');
    engine.client.send({ kind: 'stop' });
    expect((await engine.event('stopped')).summary.reason).toBe('requested');
    expect(await engine.exit).toMatchObject({ code: 0 });
  });

  it('ends a hart that does not listen', async () => {
    for (;;) {
      const engine = new SmallEngine();
      engine.start('hang');
      await engine.until('output', () => engine.text === 'h');
      engine.client.send({ kind: 'stop' });
      const kinds = () => engine.events.map(event => event.kind);
      await engine.until('an end', () => kinds().some(kind => kind === 'failed' || kind === 'stopped'));
      // The stop came between the slice that says so and the one that hangs: once more.
      if (kinds().includes('stopped')) continue;
      expect(await engine.event('failed')).toMatchObject({ during: 'run', error: { message: /did not stop/ } });
      expect(await engine.exit).toMatchObject({ code: 0 });
      return;
    }
  });

  it('stops in order on SIGTERM, and leaves SIGINT and SIGHUP to its parent', async () => {
    const engine = new SmallEngine();
    engine.start('sleep');
    await engine.event('started');
    process.kill(engine.client.pid!, 'SIGINT');
    process.kill(engine.client.pid!, 'SIGHUP');
    engine.client.send({ kind: 'describe' });
    await engine.event('description');
    process.kill(engine.client.pid!, 'SIGTERM');
    expect((await engine.event('stopped')).summary.reason).toBe('requested');
  });

  it('delivers 20 MB of output byte for byte before it says that the machine stopped', async () => {
    const engine = new SmallEngine();
    engine.start(`flood ${20 * MEGABYTE}`);
    await engine.event('stopped');
    const output = Buffer.concat(engine.output);
    expect(output.length).toBe(20 * MEGABYTE);
    for (let i = 0; i < output.length; i++) if (output[i] !== i % 251) expect.fail(`byte ${i} is ${output[i]}`);
  });

  it('sends no more output than the parent has taken, and goes on when it has', async () => {
    const engine = new SmallEngine();
    engine.acknowledge = false;
    engine.start(`flood ${3 * OUTPUT_WINDOW}`);
    await engine.until('a window of output', () => engine.outputBytes === OUTPUT_WINDOW);
    // Anything sent beyond the window would arrive before this answer.
    engine.client.send({ kind: 'describe' });
    await engine.event('description');
    expect(engine.outputBytes).toBe(OUTPUT_WINDOW);
    engine.acknowledge = true;
    engine.client.send({ kind: 'console-taken', count: OUTPUT_WINDOW });
    await engine.event('stopped');
    expect(engine.outputBytes).toBe(3 * OUTPUT_WINDOW);
  });

  it('gives 20 MB of input to the guest byte for byte', async () => {
    const engine = new SmallEngine();
    const total = 20 * MEGABYTE;
    engine.start(`sum ${total}`);
    let sum = 0;
    let sent = 0;
    while (sent < total) {
      const length = Math.min(10_007, total - sent);
      const bytes = Uint8Array.from({ length }, (_, i) => (sent + i) % 253);
      for (const byte of bytes) sum = (sum * 31 + byte) % 1_000_000_007;
      const position = sent;
      await engine.until('room', () => position - engine.accepted + length <= INPUT_WINDOW);
      engine.client.send({ kind: 'console-input', bytes });
      sent += length;
    }
    await engine.event('stopped');
    expect(engine.text).toBe(`${total} ${sum}\n`);
  });

  it('refuses more input than the window', async () => {
    const engine = new SmallEngine();
    engine.start('sleep');
    await engine.event('started');
    for (let i = 0; i < 3; i++) {
      engine.client.send({ kind: 'console-input', bytes: new Uint8Array(INPUT_WINDOW - 1000) });
    }
    expect(await engine.event('failed')).toMatchObject({ error: { kind: 'internal', message: /window/ } });
  });

  it('reads, writes and flushes disks, each locked and released', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const engine = new SmallEngine();
    engine.start('disk', { disks: [{ path: disk, readonly: false, temporary: false }] });
    await engine.event('stopped');
    expect(engine.text).toBe('write ok, flush ok, read ok, 5a\n');
    expect(readFileSync(disk).subarray(510, 1026)).toEqual(
      Buffer.concat([Buffer.alloc(2), Buffer.alloc(512, 0x5a), Buffer.alloc(2)]),
    );
    expect(existsSync(`${disk}.lock`)).toBe(false);
  });

  it('says which disk failed, once per failure, and the guest goes on', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const engine = new SmallEngine();
    engine.start('disk', { disks: [{ path: disk, readonly: true, temporary: false }] });
    await engine.event('stopped');
    expect(engine.text).toBe('write io-error, flush ok, read ok, 0\n');
    expect(await engine.event('warning')).toMatchObject({ error: { context: { path: disk, during: 'write' } } });
  });

  it("locks a disk while it runs, and a killed engine is in nobody's way", async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const disks = [{ path: disk, readonly: false, temporary: false }];
    const first = new SmallEngine();
    first.start('sleep', { disks });
    await first.event('started');
    const second = new SmallEngine();
    second.start('stop', { disks });
    expect(await second.event('failed')).toMatchObject({
      during: 'start',
      error: { kind: 'locked', context: { path: disk, pid: first.client.pid } },
    });
    first.client.kill();
    await first.exit;
    const third = new SmallEngine();
    third.start('stop', { disks });
    await third.event('stopped');
  });

  it('writes the signature and the commit log', async () => {
    const folder = temporaryFolder();
    const [elf, signature, trace] = ['program.elf', 'out.sig', 'out.log'].map(name => path.join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(elf, 'x');
    const engine = new SmallEngine();
    engine.client.send({
      kind: 'start',
      settings: smallSettings('', { boot: { elf }, signature: { path: signature, granularity: 4 } }),
    });
    engine.client.send({ kind: 'console-input', bytes: Buffer.from('off\n') });
    await engine.event('stopped');
    expect(readFileSync(signature, 'utf8')).toBe('00000001\n00000002\n');

    const second = new SmallEngine();
    second.start('trace 50000', { trace });
    await second.event('stopped');
    const lines = readFileSync(trace, 'utf8').split('\n');
    expect(lines).toHaveLength(50_001);
    expect(lines.slice(0, 2)).toEqual(['line 1', 'line 2']);
    expect(lines[49_999]).toBe('line 50000');
  });

  it.each([
    ['a missing kernel', { boot: { kernel: '/nowhere/kernel' } }, 'missing', /not exist/],
    ['a folder as kernel', { boot: { kernel: import.meta.dirname } }, 'unsupported', /folder/],
    ['a device as kernel', { boot: { kernel: '/dev/zero' } }, 'unsupported', /regular/],
    ['nothing to boot', { boot: {} }, 'usage', /nothing to boot/],
    ['too little memory', { memory: 4096 }, 'usage', /smallest is 8 MiB/],
    ['too much memory', { memory: 2 ** 33 }, 'usage', /largest is 3072 MiB/],
    ['a size with a fraction', { memory: 2 ** 23 + 1 }, 'usage', /multiple/],
    ['a missing disk', { disks: [{ path: '/nowhere/disk', readonly: false, temporary: false }] }, 'missing', /exist/],
    ['too many disks', { disks: Array(7).fill({ path: '/x', readonly: true, temporary: false }) }, 'usage', /6 disks/],
    ['a trace in no folder', { trace: '/nowhere/trace' }, 'missing', /not exist/],
    ['an unknown field', { colour: 'red' }, 'usage', /no field/],
  ])('refuses %s', async (_, change, kind, message) => {
    const engine = new SmallEngine();
    engine.start('stop', change as object);
    expect(await engine.event('failed')).toMatchObject({ during: 'start', error: { kind, message } });
    expect(await engine.exit).toMatchObject({ code: 0, lastWords: '' });
  });

  it('closes what it has opened when a later part cannot be', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, 'x');
    const engine = new SmallEngine();
    const disks = [disk, `${disk}.none`].map(name => ({ path: name, readonly: false, temporary: false }));
    engine.start('stop', { disks });
    await engine.event('failed');
    expect(existsSync(`${disk}.lock`)).toBe(false);
  });

  it('passes the reason on when the files make no machine', async () => {
    const engine = new SmallEngine();
    engine.start('refuse');
    expect(await engine.event('failed')).toMatchObject({ during: 'start', error: { kind: 'unsupported' } });
  });

  it.each([
    ['break-build', 'start', 'a mistake in the builder'],
    ['break', 'run', 'a mistake in a device'],
  ])('reports a mistake of ours as such: %s', async (mode, during, message) => {
    const engine = new SmallEngine();
    engine.start(mode);
    expect(await engine.event('failed')).toMatchObject({ during, error: { kind: 'internal', message } });
    expect((await engine.exit).lastWords).toContain('small-machine.ts');
  });

  it('starts one machine only', async () => {
    const engine = new SmallEngine();
    engine.start('sleep');
    engine.start('sleep');
    expect(await engine.event('failed')).toMatchObject({ error: { kind: 'state' } });
  });

  it('ends, with its disks released, when its parent is killed', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    mkdirSync(path.dirname(disk), { recursive: true });
    writeFileSync(disk, new Uint8Array(1 << 20));
    const disks = [{ path: disk, readonly: false, temporary: false }];
    const parent = fork(path.join(import.meta.dirname, '../../test/host/parent-to-kill.ts'), [
      JSON.stringify(smallSettings(`flood ${OUTPUT_WINDOW * 4}`, { disks })),
    ]);
    const [message] = (await once(parent, 'message')) as [{ engine: number }];
    parent.kill('SIGKILL');
    // The lock names its holder for as long as the engine lives; polling is all that a stranger can do.
    await expect.poll(() => existsSync(`${disk}.lock`) || isAlive(message.engine), { timeout: 20_000 }).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
