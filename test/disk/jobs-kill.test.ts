// A process is killed in the middle of a job, at a point of its progress: the disk reads the same, the job is found, and
// it goes on or is put away.
import { fork } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { DiskCommand, DiskEvent, DiskResult } from '../../engine/api/disk.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { Random, randomBytes } from './qcow2/images.ts';
import { qemuCheck, qemuImg, qemuIo } from './qcow2/qemu.ts';

const ENTRY = path.resolve(import.meta.dirname, '../../engine/host/disk-process.ts');
const MIB = 2 ** 20;

/** Runs a command; kills its process when so much of it is done. Returns its result, if it came to its end. */
function run(command: DiskCommand, killAt = Number.POSITIVE_INFINITY): Promise<DiskResult | undefined> {
  return new Promise((resolve, reject) => {
    const child = fork(ENTRY, [], { execArgv: [] });
    let result: DiskResult | undefined;
    child.on('message', message => {
      const event = message as DiskEvent;
      if (event.kind === 'failed') reject(new Error(event.error.message));
      else if (event.kind === 'done') result = event.result;
      else if (event.done >= killAt * event.total) child.kill('SIGKILL');
    });
    child.on('close', () => resolve(result));
    child.send(command);
  });
}

it.each(['commit', 'stream', 'compact', 'convert', 'rebase'] as const)(
  'a killed %s',
  { timeout: 180_000 },
  async kind => {
    const folder = temporaryFolder();
    const at = (name: string) => path.join(folder, name);
    writeFileSync(at('base.raw'), randomBytes(new Random(1), 24 * MIB));
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', at('middle.qcow2'));
    await qemuIo(at('middle.qcow2'), ['write -P 1 1M 12M', 'discard 3M 1M']);
    await qemuImg(
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      'extended_l2=on',
      '-b',
      'middle.qcow2',
      '-F',
      'qcow2',
      at('top.qcow2'),
    );
    await qemuIo(at('top.qcow2'), ['write -P 2 8M 12M', 'write -z 10M 64K', 'write -P 3 4096 4096']);
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', at('top.qcow2'), at('expected.raw'));
    const on = { file: at('top.qcow2'), format: 'qcow2' } as const;
    const toRaw = { format: 'qcow2', toFormat: 'raw', compress: false, options: {} } as const;
    const commands = {
      commit: { kind: 'commit', ...on, remove: false, force: false },
      stream: { kind: 'stream', ...on },
      compact: { kind: 'compact', ...on, compress: true },
      convert: { kind: 'convert', ...on, to: at('new.raw'), toFormat: 'raw', compress: false, options: {} },
      rebase: { kind: 'rebase', ...on, backing: { name: 'base.raw', format: 'raw' }, unsafe: false, force: false },
    } as const satisfies Record<typeof kind, DiskCommand>;
    const expectSame = async (name: string) => {
      expect(await qemuImg('compare', at(name), at('expected.raw'))).toMatch('identical');
      if (name.endsWith('.qcow2')) expect((await qemuCheck(at(name))).corruptions).toBe(0);
    };
    const found = async (resume: boolean) => {
      const result = await run({ kind: 'jobs', resume, ...on });
      return result?.kind === 'jobs' ? result.jobs : [];
    };
    for (const killAt of [0.02, 0.4, 0.8]) {
      // On a busy machine the kill may come when the work is done already, even if nobody has heard of it.
      await run(commands[kind], killAt);
      await expectSame('top.qcow2');
      const interrupted = await found(false);
      if (existsSync(at('top.qcow2.job')) && (kind === 'commit' || kind === 'stream')) {
        expect(interrupted).toMatchObject([{ kind, layer: 'top.qcow2' }]);
      } else expect(interrupted).toEqual([]);
      // Half a commit is of no use by itself.
      const middle = run({ kind: 'convert', file: at('middle.qcow2'), to: at('m.raw'), ...toRaw });
      if (kind === 'commit' && interrupted.length > 0) await expect(middle).rejects.toThrow('was interrupted');
      else await middle;
      rmSync(at('m.raw'), { force: true });
      if (!existsSync(at('new.raw'))) continue;
      await expectSame('new.raw');
      rmSync(at('new.raw'));
    }
    await found(true);
    await expectSame('top.qcow2');
    expect(await found(false)).toEqual([]);
    expect(readdirSync(folder).filter(name => /\.(job|partial|lock)/.test(name))).toEqual([]);
    expect(await run(commands[kind])).toBeDefined();
    await expectSame('top.qcow2');
    if (kind === 'convert') await expectSame('new.raw');
  },
);
