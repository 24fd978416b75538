// Machines of the library on the command line, with small machines in real processes.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { putMachine, smallKernel } from '../framework/machine-library.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { Command, type Ending, endOf } from './command.ts';
import { PseudoTerminal } from './pseudo-terminal.ts';

interface Listed {
  readonly machines: readonly {
    readonly name: string;
    readonly state: string;
    readonly folder: string;
    readonly status: { readonly pid: number };
  }[];
}

/** A library and the command line in it; machines that are still on at the end are killed. */
class Shell {
  readonly folder = path.join(temporaryFolder(), 'library');

  constructor() {
    onTestFinished(async () => {
      for (const { status } of await this.list()) if (status?.pid) process.kill(status.pid, 'SIGKILL');
    });
  }

  start(...words: readonly string[]): Command {
    return Command.small(this.words(words));
  }

  words([name, ...rest]: readonly string[]): string[] {
    return [name!, '--library', this.folder, ...rest];
  }

  run(...words: readonly string[]): Promise<Ending> {
    return endOf(this.start(...words));
  }

  /** What a command that must succeed prints. */
  async ok(...words: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...words);
    expect([words, status, stderr]).toEqual([words, 0, '']);
    return stdout.toString();
  }

  async json(...words: readonly string[]) {
    return JSON.parse(await this.ok(...words, '--json'));
  }

  async list(): Promise<Listed['machines']> {
    const { stdout } = await this.run('list', '--json');
    return (JSON.parse(stdout.toString()) as Listed).machines;
  }

  async state(name: string): Promise<string | undefined> {
    return (await this.list()).find(machine => machine.name === name)?.state;
  }

  /** A machine in the given mode; see test/host/small-machine.ts. */
  async machine(name: string, mode: string): Promise<void> {
    await this.ok('create', name, '--kernel', smallKernel(), '--append', mode);
  }
}

const line = (text: string) => text.trim().split('\n');

describe('machines of the library', () => {
  it('are created, listed, changed, copied and deleted', async () => {
    const shell = new Shell();
    expect(await shell.ok('list')).toMatch(/^There are no machines in /);
    const made = await shell.json(
      'create',
      'Web server',
      '--memory',
      '64M',
      '--disk',
      '1M',
      '--disk',
      '2M,format=raw',
      '--every',
      '5',
    );
    expect(made).toMatchObject({
      name: 'Web server',
      memory: 64 * 2 ** 20,
      folder: path.join(shell.folder, 'web-server'),
      disks: [{ format: 'qcow2' }, { format: 'raw' }],
      automatic: { everyMinutes: 5 },
    });
    await shell.ok('configure', 'Web server', '--memory', '128M');
    await shell.ok('rename', 'web-server', 'Web');
    await shell.ok('duplicate', 'Web', 'Copy');
    expect(line(await shell.ok('list')).map(row => row.split(/\s{2,}/))).toEqual([
      ['NAME', 'STATE', 'MEMORY', 'DISKS', 'FOLDER'],
      ['Copy', 'off', '128 MiB', '2', 'copy'],
      ['Web', 'off', '128 MiB', '2', 'web-server'],
    ]);
    expect(await shell.ok('delete', 'Copy', '--dry-run')).toMatch(
      /^Would delete .*copy with 2 layers, 0 checkpoints: /,
    );
    expect(await shell.run('delete', 'Copy')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('say --yes'),
    });
    expect(existsSync(path.join(shell.folder, 'copy'))).toBe(true);
    expect(await shell.json('delete', 'Copy', '--yes')).toMatchObject({ deleted: true, disks: 2 });
    expect((await shell.list()).map(({ name }) => name)).toEqual(['Web']);
  });

  it('start detached, show their console to several, and stop', async () => {
    const shell = new Shell();
    await shell.machine('a', 'talk');
    await shell.ok('start', 'a', '--detach', '--wait-for', '# $');
    expect(await shell.state('a')).toBe('running');
    const [one, two] = [shell.start('console', 'a'), shell.start('console', 'a')];
    await Promise.all([one.shows('hello from talk'), two.shows('hello from talk')]);
    one.process.stdin!.write('typed');
    await Promise.all([one.shows('# typed'), two.shows('# typed')]);
    one.process.kill('SIGTERM');
    expect(await one.end()).toMatchObject({ status: 143 });
    expect(await shell.json('pause', 'a')).toMatchObject({ state: 'paused', pausedBy: 'wish' });
    expect(await shell.ok('resume', 'a')).toBe('a is running\n');
    expect(await shell.json('stop', 'a', '--force')).toMatchObject({ state: 'off' });
    expect(await two.end()).toMatchObject({ status: 0, stderr: expect.stringContaining('a was powered off') });
    expect(await shell.state('a')).toBe('off');
  });

  it.each([
    ['stop 3', 3],
    ['fail 0', 1],
    ['break', 125],
  ])('end as the guest says: %s', async (mode, status) => {
    const shell = new Shell();
    await shell.machine('a', mode);
    expect(await shell.run('start', 'a')).toMatchObject({ status });
    // With --json the console is elsewhere.
    const { stdout } = await shell.run('start', 'a', '--json');
    expect(JSON.parse(stdout.toString())).toMatchObject({ kind: 'off', exitStatus: status });
  });

  it('print what the guest prints, byte for byte, and take what is typed', async () => {
    const shell = new Shell();
    // More is not kept for those who take it slowly.
    const total = 200_000;
    await shell.machine('flood', `flood ${total}`);
    const { status, stdout } = await shell.run('start', 'flood');
    expect([status, stdout.length]).toEqual([0, total]);
    for (let i = 0; i < total; i++) if (stdout[i] !== i % 251) expect.fail(`byte ${i} is ${stdout[i]}`);
    await shell.machine('sum', `sum ${total}`);
    const input = Buffer.from(Uint8Array.from({ length: total }, (_, i) => (i * 7) % 256));
    let sum = 0;
    for (const byte of input) sum = (sum * 31 + byte) % 1_000_000_007;
    const end = await endOf(shell.start('start', 'sum'), input);
    expect([end.status, end.stdout.toString()]).toEqual([0, `${total} ${sum}\n`]);
  });

  it('go on when the command is left, by keys or by force, and obey Ctrl-A x', async () => {
    const shell = new Shell();
    await shell.machine('a', 'talk');
    const terminal = new PseudoTerminal(shell.words(['start', 'a']));
    await terminal.shows('hello from talk');
    terminal.type('\x01h');
    await terminal.shows('leave the console; the machine goes on');
    terminal.type('\x01d');
    expect(await terminal.end()).toMatchObject({ status: 0, restored: true });
    expect(terminal.screen).toMatch(/a goes on/);
    const killed = shell.start('console', 'a');
    await killed.shows('hello');
    killed.process.kill('SIGKILL');
    await killed.end();
    expect(await shell.state('a')).toBe('running');
    const last = new PseudoTerminal(shell.words(['console', 'a']));
    await last.shows('hello from talk');
    last.type('more');
    await last.shows('more');
    last.type('\x01x');
    expect(await last.end()).toMatchObject({ status: 0, restored: true });
    expect(await shell.state('a')).toBe('off');
  });

  it('are started once, however many try', async () => {
    const shell = new Shell();
    await shell.machine('a', 'talk');
    const ends = await Promise.all([1, 2, 3].map(() => shell.run('start', 'a', '--detach')));
    expect(ends.map(({ status }) => status).sort()).toEqual([0, 1, 1]);
    expect(
      ends
        .map(({ stderr }) => stderr)
        .sort()
        .at(-1),
    ).toMatch(/^afterimage: cannot start 'a': .*on already/);
    expect(await shell.run('start', 'a')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("cannot start 'a'"),
    });
    await shell.ok('stop', 'a', '--force');
    const kernel = smallKernel();
    await shell.ok('create', 'b', '--kernel', kernel);
    rmSync(kernel);
    const { status, stderr } = await shell.run('start', 'b');
    expect([status, stderr]).toEqual([
      1,
      `afterimage: cannot start 'b': ${kernel}: the file does not exist; check the path\n`,
    ]);
  });

  it('a killed process is told to those at its console, and the machine can be started again', async () => {
    const shell = new Shell();
    await shell.machine('a', 'talk');
    await shell.ok('start', 'a', '--detach', '--wait-for', '# ');
    const console = shell.start('console', 'a');
    await console.shows('hello');
    const [machine] = await shell.list();
    process.kill(machine!.status.pid, 'SIGKILL');
    expect(await console.end()).toMatchObject({ status: 125, stderr: expect.stringMatching(/connection .* was lost/) });
    expect(await shell.state('a')).toBe('off');
    await shell.ok('start', 'a', '--detach', '--wait-for', '# ');
    await shell.ok('delete', 'a', '--force', '--yes');
    expect(await shell.list()).toEqual([]);
  });

  it('a time limit leaves the machine alone', async () => {
    const shell = new Shell();
    await shell.machine('a', 'talk');
    const end = await shell.run('start', 'a', '--timeout', '1', '--wait-for', 'never');
    expect(end).toMatchObject({ status: 124, stderr: expect.stringContaining('a goes on') });
    expect(await shell.state('a')).toBe('running');
    expect(await shell.run('delete', 'a', '--yes')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('stop it first'),
    });
    await shell.ok('stop', 'a', '--force');
  });
});

describe('what goes wrong', () => {
  it('is one line with machine, file and step, and an object with --json', async () => {
    const shell = new Shell();
    expect(await shell.run('tree', 'none')).toMatchObject({
      status: 1,
      stderr: "afterimage: cannot draw the tree of 'none': there is no machine 'none'; see 'afterimage list'\n",
    });
    const { stdout } = await shell.run('checkpoint', 'none', '--json');
    expect(JSON.parse(stdout.toString())).toMatchObject({ kind: 'failed', error: { kind: 'missing' } });
    const missing = path.join(shell.folder, 'missing.qcow2');
    const create = await shell.run('create', 'a', '--disk', missing);
    expect([create.status, create.stderr]).toEqual([
      1,
      `afterimage: cannot create 'a': ${missing}: the file does not exist; check the path\n`,
    ]);
    putMachine(shell.folder, 'a');
    for (const words of [
      ['memory', 'a'],
      ['checkpoint', 'a'],
      ['exec', 'a', '--', 'true'],
      ['pause', 'a'],
      ['console', 'a'],
    ]) {
      const { status, stderr } = await shell.run(...words);
      expect([words, status, line(stderr).length]).toEqual([words, 1, 1]);
    }
  });

  it('a checkpoint is exported neither over a file nor into a folder that is not there', async () => {
    const shell = new Shell();
    putMachine(shell.folder, 'a');
    const file = path.join(temporaryFolder(), 'precious');
    writeFileSync(file, 'precious');
    expect(await shell.run('export', 'a', 'latest', file)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/precious: there is a file of that name; say --force/i),
    });
    const folder = path.join(path.dirname(file), 'nowhere');
    expect(await shell.run('export', 'a', 'latest', path.join(folder, 'x'))).toMatchObject({
      status: 1,
      stderr: `afterimage: cannot export 'a': ${folder}: the folder does not exist; check the path\n`,
    });
  });

  it('a broken machine is listed as what it is, and can be deleted', async () => {
    const shell = new Shell();
    putMachine(shell.folder, 'fine');
    writeFileSync(path.join(putMachine(shell.folder, 'broken\u001b[2J'), 'machine.json'), '{');
    mkdirSync(path.join(shell.folder, 'empty'));
    const listed = await shell.ok('list');
    expect(listed).not.toContain('\u001b');
    expect(line(listed).map(row => row.split(/\s{2,}/).slice(0, 2))).toEqual([
      ['NAME', 'STATE'],
      ['broken?[2J', 'broken'],
      ['empty', 'broken'],
      ['fine', 'off'],
    ]);
    expect(await shell.run('start', 'empty')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('machine.json'),
    });
    await shell.ok('delete', 'empty', '--yes');
    expect(existsSync(path.join(shell.folder, 'empty'))).toBe(false);
  });

  it('a machine in the hands of somebody else is told with the process', async () => {
    const shell = new Shell();
    const folder = putMachine(shell.folder, 'a');
    mkdirSync(path.join(folder, 'disks.lock'));
    writeFileSync(path.join(folder, 'disks.lock/write-77-1-aaaaaaaaaaaa-bbbbbbbbbbbb-00000000'), '');
    const { status, stderr } = await shell.run('tree', 'a');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/in use for writing by process 77/)]);
  });

  it('a size that cannot be is answered with the option and what it takes', async () => {
    const shell = new Shell();
    for (const size of ['-5G', '0', '0G', '1', '5X', '1e9', '99999T', '1,5G', '+1G', '8GiBB']) {
      const { status, stderr } = await shell.run('create', 'b', '--disk', size);
      expect([size, status, line(stderr).length]).toEqual([size, 2, 1]);
      expect(stderr).toContain('--disk');
      expect(stderr).toContain('from 512 bytes to 1024T');
    }
    for (const size of ['-1', '0', '1G2', '999999G', '10K', '64.5M', '']) {
      const { status, stderr } = await shell.run('create', 'b', '--memory', size);
      expect([size, status, line(stderr).length]).toEqual([size, 2, 1]);
      expect(stderr).toMatch(/--memory.* from 8M to 3G/);
    }
    expect(existsSync(path.join(shell.folder, 'b'))).toBe(false);
  });

  it('a file that is something else is told as what it is, and makes no machine', async () => {
    const shell = new Shell();
    const file = (name: string, content: string | Uint8Array) => {
      const to = path.join(shell.folder, '..', name);
      writeFileSync(to, content);
      return to;
    };
    mkdirSync(shell.folder, { recursive: true });
    const [note, image] = [file('note.txt', 'to be bought: milk\n'), file('d.img', 'QFI\xfb\0\0\0\x03')];
    for (const [words, said] of [
      [['import', note, 'b'], 'it is not a checkpoint file: it is text'],
      [['create', 'b', '--kernel', note], 'it is not a kernel for RISC-V: it is text'],
      [
        ['create', 'b', '--kernel', smallKernel(), '--disk', `${note},format=qcow2`],
        'it is not a qcow2 image: it is text',
      ],
      [['import', image, 'b'], 'not a checkpoint file'],
    ] as const) {
      const { status, stderr } = await shell.run(...words);
      expect([words, status, line(stderr).length]).toEqual([words, 1, 1]);
      expect(stderr).toContain(said);
    }
    expect(readdirSync(shell.folder)).toEqual([]);
  });

  it('bad arguments are one line and status 2', async () => {
    const shell = new Shell();
    putMachine(shell.folder, 'a');
    for (const words of [
      ['create'],
      ['create', ''],
      ['create', 'b', '--memory', '1T'],
      ['create', 'b', '--elf', 'x', '--kernel', 'y'],
      ['create', 'b', '--initrd', 'y'],
      ['create', 'b', '--every', 'never'],
      ['create', 'b', '--disk', '0'],
      ['create', 'b', '--disk', '2000T'],
      ['serve', '--port', '-1'],
      ['memory', 'a', '--range', '0+786433'],
      ['exec', 'a', '--timeout', '86401', '--', 'true'],
      ['exec', 'a', '--', ''],
      ['disks', 'a', 'overlay', '--disk', '9'],
      ['checkpoint', 'a', '--store', 'moon'],
      ['checkpoint', 'a', '--pending', 'maybe'],
      ['devirtualize', 'a', '--mode', 'sometimes'],
      ['virtualize', 'a', '--range', '5'],
      ['edit-checkpoint', 'a', 'x'],
      ['configure', 'a'],
      ['disks', 'a', 'polish'],
      ['disks', 'a', 'resize'],
      ['serve', '--port', '99999'],
      ['fly', 'a'],
    ]) {
      const { status, stderr } = await shell.run(...words);
      expect([words, status, line(stderr).length]).toEqual([words, 2, 1]);
      // What is wrong is told in words, not in those of the interface behind them.
      expect(stderr).not.toMatch(/is not valid|Invalid/);
    }
  });

  it('files that are no checkpoints make no machines', async () => {
    const shell = new Shell();
    const folder = temporaryFolder();
    const nonsense = path.join(folder, 'nonsense.afterimage-checkpoint');
    writeFileSync(nonsense, Buffer.alloc(100_000, 'nonsense '));
    for (const file of [nonsense, path.join(folder, 'missing'), folder, '/dev/null']) {
      const { status, stderr } = await shell.run('import', file, 'new');
      expect([file, status, stderr]).toEqual([
        file,
        1,
        expect.stringMatching(/^afterimage: cannot import 'new'.*: .*\n$/),
      ]);
      expect(stderr).toContain(file);
    }
    expect(await shell.list()).toEqual([]);
  });

  it('a library that cannot be read is told', async () => {
    const shell = new Shell();
    writeFileSync(shell.folder, 'a file');
    expect(await shell.run('list')).toMatchObject({ status: 1, stderr: expect.stringContaining(shell.folder) });
    expect(await shell.run('create', 'a')).toMatchObject({ status: 1 });
    spawnSync('rm', [shell.folder]);
  });
});
