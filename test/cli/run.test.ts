import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { Command, endOf, small } from './command.ts';

const MEGABYTE = 1_000_000;

describe('afterimage run', () => {
  it.each([
    ['stop 0', 0],
    ['stop 3', 3],
    ['stop 256', 255],
    ['fail 9', 9],
    ['fail 0', 1],
    ['exit 1', 1],
    ['exit 1000', 255],
    ['limit', 124],
    ['restart 2', 2],
  ])('exits as the guest says: %s', async (mode, status) => {
    const end = await endOf(Command.small(small(mode)));
    expect(end).toMatchObject({ status, stderr: status === 124 ? expect.stringContaining('limit of') : '' });
  });

  it('prints what the guest prints, byte for byte, to a slow reader too', async () => {
    const total = 5 * MEGABYTE;
    const command = Command.small(small(`flood ${total}`));
    // A pause after each piece lets the guest run ahead until all queues on the way are full.
    command.process.stdout!.on('data', () => {
      command.process.stdout!.pause();
      setTimeout(() => command.process.stdout!.resume(), 2);
    });
    const { status, stdout } = await endOf(command);
    expect(status).toBe(0);
    expect(stdout.length).toBe(total);
    for (let i = 0; i < total; i++) if (stdout[i] !== i % 251) expect.fail(`byte ${i} is ${stdout[i]}`);
  });

  it.each(['pipe', '-', 'file'])('types all of the input, byte for byte: %s', async kind => {
    const total = 5 * MEGABYTE;
    const input = Buffer.from(Uint8Array.from({ length: total }, (_, i) => (i * 7) % 256));
    let sum = 0;
    for (const byte of input) sum = (sum * 31 + byte) % 1_000_000_007;
    const file = path.join(temporaryFolder(), 'input');
    if (kind === 'file') writeFileSync(file, input);
    const option = { pipe: [], '-': ['--input', '-'], file: ['--input', file] }[kind]!;
    const end = await endOf(Command.small(small(`sum ${total}`, ...option)), kind === 'file' ? '' : input);
    expect(end.stdout.toString()).toBe(`${total} ${sum}\n`);
    expect(end.status).toBe(0);
  });

  it('runs on when its input has ended', async () => {
    const command = Command.small(small('talk', '--wait-for', 'never'));
    command.process.stdin!.end('typed');
    await command.shows('typed');
    command.process.kill('SIGTERM');
    expect(await command.end()).toMatchObject({ status: 143 });
  });

  it('ends when the console shows what is waited for, also across chunks', async () => {
    const command = Command.small(small('talk', '--wait-for', 'lo{2}g+in: $', '--input', '-'));
    await command.shows('# ');
    for (const part of ['loo', 'gg', 'in', ': \r\n']) {
      command.process.stdin!.write(part);
      await command.shows(part);
    }
    expect(await command.end()).toMatchObject({ status: 0, stderr: '' });
  });

  it('says that it was not seen when the guest stops first', async () => {
    const end = await endOf(Command.small(small('stop 0', '--wait-for', 'never')));
    expect(end).toMatchObject({ status: 1, stderr: expect.stringContaining('before the console showed') });
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('ends in order on %s, with the disk released', async (signal, status) => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const command = Command.small(small('talk', '--disk', disk));
    await command.shows('# ');
    expect(existsSync(`${disk}.lock`)).toBe(true);
    command.process.kill(signal);
    expect(await command.end()).toMatchObject({ status, stderr: '' });
    expect(existsSync(`${disk}.lock`)).toBe(false);
  });

  it.each([['flood 1000'], ['stop 0', '--json']])('says that its output cannot be written: %s %s', (mode, ...more) => {
    const words = Command.line(small(mode, ...more)).map(word => `'${word}'`);
    const shell = spawnSync('sh', ['-c', `${words.join(' ')} > /dev/full`], { encoding: 'utf8', input: '' });
    expect(shell).toMatchObject({ status: 125, stderr: expect.stringContaining('cannot be written (ENOSPC') });
  });

  it('ends quietly when nobody reads its output any more', async () => {
    const command = Command.small(small(`flood ${50 * MEGABYTE}`));
    await once(command.process.stdout!, 'data');
    command.process.stdout!.destroy();
    expect(await command.end()).toMatchObject({ status: 141, stderr: '' });
  });

  it.each([
    ['break', /^afterimage: a mistake in a device; this is a mistake in Afterimage\n$/],
    ['abort', /^afterimage: the engine ended unexpectedly \(SIGABRT\); this is a mistake in Afterimage\n$/],
  ])('tells a failure of the engine in one line: %s', async (mode, message) => {
    const end = await endOf(Command.small(small(mode)));
    expect(end).toMatchObject({ status: 125, stderr: expect.stringMatching(message) });
  });

  it('says which process was killed under it', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const command = Command.small(small('talk', '--disk', disk));
    await command.shows('# ');
    // The lock names the process that holds it: write-PID-...
    const [holder = ''] = readdirSync(`${disk}.lock`);
    process.kill(Number(holder.split('-')[1]), 'SIGKILL');
    expect(await command.end()).toMatchObject({
      status: 125,
      stderr:
        'afterimage: the engine ended unexpectedly (SIGKILL); somebody killed it, or the host ran out of memory\n',
    });
  });

  it('tells what it waits for when the machine does not end', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const command = Command.small(small('talk', '--disk', disk));
    await command.shows('# ');
    const [holder = ''] = readdirSync(`${disk}.lock`);
    const engine = Number(holder.split('-')[1]);
    process.kill(engine, 'SIGSTOP');
    command.process.kill('SIGTERM');
    await command.showsError('waiting up to 10 s for the machine to write its disks and end');
    process.kill(engine, 'SIGCONT');
    expect(await command.end()).toMatchObject({ status: 143 });
  });

  it('prints help, also as a command', async () => {
    const [whole, run] = await Promise.all([['help'], ['help', 'run']].map(words => endOf(Command.small(words))));
    expect(whole).toMatchObject({ status: 0, stderr: '' });
    expect(whole!.stdout.toString()).toMatch('Usage: afterimage');
    expect(run!.stdout.toString()).toMatch(/up to 6 disks, \/dev\/vda/);
  });

  it('writes signature and commit log', async () => {
    const folder = temporaryFolder();
    const [elf, signature] = [path.join(folder, 'a.elf'), path.join(folder, 'a.sig')];
    writeFileSync(elf, 'x');
    const end = await endOf(Command.small(['run', '--elf', elf, '--signature', signature]), 'off\n');
    expect(end.status).toBe(0);
    expect(readFileSync(signature, 'utf8')).toBe('00000001\n00000002\n');
    const trace = path.join(folder, 'a.log');
    await endOf(Command.small(small('trace 10', '--trace', trace)));
    expect(readFileSync(trace, 'utf8').split('\n')).toHaveLength(11);
  });

  describe('with --json', () => {
    it('prints one object, and the console to standard error', async () => {
      const end = await endOf(Command.small(small('talk', '--json')), 'off\n');
      const result = JSON.parse(end.stdout.toString());
      expect(result).toEqual({
        outcome: 'poweroff',
        status: 0,
        code: 0,
        instructions: expect.any(Number),
        milliseconds: expect.any(Number),
        consoleBytes: Buffer.byteLength('hello from talk\r\n# '),
        guestErrors: { 'small: something': 2 },
      });
      expect(end.stderr).toBe('hello from talk\r\n# ');
    });

    it.each([
      ['stop 5', [], { outcome: 'poweroff', status: 5, code: 5 }],
      ['exit 2', [], { outcome: 'exit', status: 2, code: 2 }],
      ['limit', [], { outcome: 'limit', status: 124 }],
      ['sleep', ['--timeout', '0.3'], { outcome: 'timeout', status: 124 }],
      ['talk', ['--wait-for', 'hello'], { outcome: 'seen', status: 0 }],
      ['stop', ['--wait-for', 'hello'], { outcome: 'not-seen', status: 1 }],
      ['refuse', [], { outcome: 'failed', status: 2, error: { kind: 'unsupported' } }],
      ['break', [], { outcome: 'failed', status: 125, error: { kind: 'internal' } }],
      ['stop', ['--disk', '/nowhere/disk'], { outcome: 'failed', status: 2, error: { kind: 'missing' } }],
    ])('says how it ended: %s %j', async (mode, more, expected) => {
      const end = await endOf(Command.small(small(mode, '--json', ...more)));
      expect(JSON.parse(end.stdout.toString())).toMatchObject(expected);
      expect(end.status).toBe(expected.status);
    });

    it('names the signal', async () => {
      const command = Command.small(small('talk', '--json'));
      await command.showsError('# ');
      command.process.kill('SIGTERM');
      const end = await command.end();
      expect(JSON.parse(end.stdout.toString())).toMatchObject({ outcome: 'signal', signal: 'SIGTERM', status: 143 });
      expect(end.status).toBe(143);
    });
  });
});

describe('bad arguments and unusable files', () => {
  const folder = (): string => {
    const name = path.join(temporaryFolder(), 'folder');
    mkdirSync(name);
    return name;
  };
  const twice = (): string[] => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    linkSync(disk, `${disk}.too`);
    return ['--disk', disk, '--disk', `${disk}.too,readonly`];
  };
  const cases: [string, () => string[], RegExp][] = [
    ['nothing', () => [], /nothing to do/],
    ['an unknown command', () => ['fly'], /no command 'fly'/],
    ['an unknown option', () => ['run', '--fly'], /unknown option '--fly'/],
    ['a stray argument', () => ['run', 'file'], /too many arguments/],
    ['an option without its value', () => ['run', '--kernel'], /argument missing/],
    ['no size', () => ['run', '--memory', 'much'], /--memory: 'much' is not a size; .* from 8M to 3G/],
    ['too little memory', () => ['run', '--memory', '1M'], /too small; give a size from 8M to 3G/],
    ['too much memory', () => ['run', '--memory', '4G'], /too large; give a size from 8M to 3G/],
    ['no number of seconds', () => ['run', '--timeout', '-1'], /'-1' is not a time limit/],
    ['an endless time limit', () => ['run', '--timeout', '1e9'], /is not a time limit/],
    ['no expression', () => ['run', '--wait-for', '['], /not a regular expression/],
    ['no number of instructions', () => ['run', '--max-instructions', '0'], /whole number/],
    ['no granularity', () => ['run', '--signature-granularity', '5'], /no granularity/],
    ['a disk without a file', () => ['run', '--disk', ',temporary'], /needs a file/],
    ['an unknown disk option', () => ['run', '--disk', 'disk.img,fast'], /no option 'fast'/],
    ['a contradiction', () => ['run', '--disk', 'disk.img,readonly,temporary'], /either readonly or temporary/],
    ['too many disks', () => ['run', ...Array(7).fill(['--disk', 'x,readonly']).flat()], /at most 6 disks/],
    ['an ELF with a kernel', () => ['run', '--elf', 'a', '--kernel', 'b'], /--elf runs a program alone/],
    ['an initrd alone', () => ['run', '--initrd', 'a'], /--initrd needs/],
    ['a signature alone', () => ['run', '--signature', 'a'], /--signature needs/],
    ['a kernel without a name', () => ['run', '--kernel', ''], /--kernel needs the name of a file/],
    ['a trace to standard output', () => small('stop', '--trace', '-'), /--trace needs a file of its own, not '-'/],
    ['a trace to a stream', () => small('stop', '--trace', '/dev/fd/1'), /--trace needs a file of its own/],
    ['too little for the guest', () => ['run', '--memory', '95M'], /the default guest needs a memory of 96M/],
    ['a disk twice', () => small('stop', ...twice()), /in use here already, under this or another name/],
    ['a missing kernel', () => ['run', '--kernel', '/nowhere/k'], /^afterimage: \/nowhere\/k: the file does not exist/],
    ['a folder as kernel', () => ['run', '--kernel', folder()], /folder: it is a folder, not a file/],
    ['a folder as input', () => ['run', '--kernel', 'x', '--input', folder()], /folder: it is a folder/],
    ['a missing input', () => small('stop', '--input', '/nowhere/i'), /\/nowhere\/i: the file does not exist/],
    ['a missing disk', () => small('stop', '--disk', '/nowhere/d'), /\/nowhere\/d: the file does not exist/],
    ['a device as disk', () => small('stop', '--disk', '/dev/null'), /null: it is not a regular file/],
    ['a folder as disk', () => small('stop', '--disk', folder()), /folder: it is a folder/],
    ['a trace in no folder', () => small('stop', '--trace', '/nowhere/t'), /\/nowhere\/t: the file does not exist/],
    ['a name that plays tricks', () => ['run', '--kernel', '/a\n\x1b[2J'], /^afterimage: \/a\?\?\[2J: the file/],
  ];

  it.each(cases)('%s', async (_, arguments_, message) => {
    const end = await endOf(Command.small(arguments_()));
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/^afterimage: [^\n]+\n$/);
    expect(end.status).toBe(2);
    expect(end.stdout.length).toBe(0);
  });

  it.each([
    [['run', '--memory', 'much'], { outcome: 'failed', status: 2, error: { kind: 'usage' } }],
    [['run', '--fly'], { outcome: 'failed', status: 2, error: { message: expect.stringContaining('--fly') } }],
    [['disk', 'info'], { kind: 'failed', error: { kind: 'usage' } }],
    [['fly'], { kind: 'failed', error: { kind: 'usage' } }],
  ])('with --json, told as an object: %j', async (arguments_, expected) => {
    const end = await endOf(Command.small([...arguments_, '--json']));
    expect(JSON.parse(end.stdout.toString())).toMatchObject(expected);
    expect(end).toMatchObject({ status: 2, stderr: expect.stringMatching(/^afterimage: [^\n]+\n$/) });
  });

  it('a refused program leaves no signature, and an old one as it was', async () => {
    const [old, none] = ['old.sig', 'none.sig'].map(name => path.join(temporaryFolder(), name));
    writeFileSync(old!, 'as it was');
    for (const signature of [old!, none!]) {
      expect((await endOf(Command.small(['run', '--elf', '/nowhere/elf', '--signature', signature]))).status).toBe(2);
    }
    const disk = ['--disk', '/nowhere/disk'];
    const elf = path.join(temporaryFolder(), 'a.elf');
    writeFileSync(elf, 'x');
    expect((await endOf(Command.small(['run', '--elf', elf, '--signature', none!, ...disk]))).status).toBe(2);
    expect([existsSync(none!), readFileSync(old!, 'utf8')]).toEqual([false, 'as it was']);
  });

  it('a disk that another run has', async () => {
    const disk = path.join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, new Uint8Array(1 << 20));
    const first = Command.small(small('talk', '--disk', disk));
    await first.shows('# ');
    for (const option of ['', ',readonly', ',temporary']) {
      const second = await endOf(Command.small(small('stop', '--disk', disk + option)));
      expect(second.status).toBe(2);
      expect(second.stderr).toMatch(/disk\.img: the file is in use for writing by process \d+; end that run first/);
    }
    first.process.stdin!.end('off\n');
    expect(await first.end()).toMatchObject({ status: 0 });
    expect(await endOf(Command.small(small('stop', '--disk', disk)))).toMatchObject({ status: 0 });
  });

  it('a file that may not be written', async () => {
    // Not even root may write here, or make the folder of a lock.
    const end = await endOf(Command.small(small('stop', '--disk', '/sys/kernel/notes')));
    expect(end.status).toBe(2);
    expect(end.stderr).toMatch(/^afterimage: \/sys\/kernel\/notes: .* check its permissions\n$/);
  });
});
