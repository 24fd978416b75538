import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { connect, createMachine, own, SMALL_OWNER, smallMachine } from '../../test/host/machine-owner.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';

describe('process of a machine', () => {
  it('creates a folder in one step, answers for it, and ends with its last client', async () => {
    const folder = path.join(temporaryFolder(), 'one');
    const made = await createMachine(folder, { disks: [{ kind: 'new', size: 1 << 20, format: 'qcow2' }] });
    expect(readdirSync(folder).sort()).toEqual(['checkpoints', 'disks', 'machine.json']);
    expect(readdirSync(path.dirname(folder))).toEqual(['one']);
    const { connection, exit } = own(folder);
    expect(await connection.call('machine', {})).toEqual(made);
    expect(await connection.call('status', {})).toMatchObject({ state: 'off' });
    expect(await connection.call('tree', {})).toEqual({ nodes: [], hiddenBytes: 0 });
    const [disk] = await connection.call('disks', {});
    expect(disk).toMatchObject({ disk: 0, device: 'vda', size: 1 << 20, active: made.disks[0]!.file });
    expect(disk!.layers).toMatchObject([{ neededBy: [{ by: 'machine', id: made.id, direct: true }] }]);
    expect(statSync(path.join(folder, 'control.sock')).mode & 0o777).toBe(0o600);
    connection.close();
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(existsSync(path.join(folder, 'control.sock'))).toBe(false);
    expect(existsSync(path.join(folder, 'disks.lock'))).toBe(false);
  });

  it('runs a machine for two clients; the second sees what was printed before', async () => {
    const folder = await smallMachine('talk');
    const first = own(folder, SMALL_OWNER);
    await first.connection.call('console-attach', {});
    expect(await first.connection.call('start', { consoleSize: { rows: 24, columns: 80 } })).toMatchObject({
      state: 'running',
    });
    await first.shows('hello from talk\r\n# ');
    const second = await connect(folder);
    await second.connection.call('console-attach', {});
    await second.shows('[24x80]hello from talk\r\n# ');
    await second.connection.call('console-input', { bytes: Buffer.from('abc') });
    await Promise.all([first.shows('# abc'), second.shows('# abc')]);
    expect(await second.connection.call('pause', {})).toMatchObject({ state: 'paused', pausedBy: 'wish' });
    await first.shows('[paused]');
    expect(await first.connection.call('resume', {})).toMatchObject({ state: 'running' });
    await second.shows('[resumed]');
    await expect(first.connection.call('stop', {})).rejects.toMatchObject({ kind: 'state' });
    expect(await first.connection.call('stop', { force: true })).toMatchObject({ state: 'off' });
    expect(await second.connection.call('status', {})).toMatchObject({ ended: { reason: 'requested', code: 0 } });
  });

  it('goes on without its parent, and ends when the machine is off', async () => {
    const folder = await smallMachine('talk');
    const parent = own(folder, SMALL_OWNER);
    await parent.connection.call('start', {});
    const other = await connect(folder);
    parent.connection.close();
    await other.connection.call('console-attach', {});
    await other.shows('# ');
    other.connection.close();
    const third = await connect(folder);
    await third.connection.call('console-attach', {});
    await third.connection.call('console-input', { bytes: Buffer.from('off\n') });
    await third.until('off', () => third.events.some(one => one.event === 'status' && one.status.state === 'off'));
    third.connection.close();
    expect(await parent.exit).toEqual({ code: 0, signal: null });
  });

  it('keeps the reason why a machine failed', async () => {
    const folder = await smallMachine('break');
    const { connection } = own(folder, SMALL_OWNER);
    await connection.call('start', {}).catch(() => undefined);
    for (;;) {
      const { state, error } = await connection.call('status', {});
      if (state === 'failed') {
        expect(error).toMatchObject({ kind: 'internal', message: 'a mistake in a device' });
        break;
      }
    }
  });

  it('refuses a folder that another process owns, and takes over what a killed one left', async () => {
    const folder = await smallMachine('talk');
    const first = own(folder, SMALL_OWNER);
    await first.connection.call('start', {});
    const second = own(folder, SMALL_OWNER);
    await expect(second.connection.call('status', {})).rejects.toMatchObject({
      kind: 'locked',
      context: { pid: first.engine.pid },
    });
    expect(await second.exit).toEqual({ code: 0, signal: null });
    first.engine.kill();
    await first.exit;
    expect(existsSync(path.join(folder, 'control.sock'))).toBe(true);
    const third = own(folder, SMALL_OWNER);
    expect(await third.connection.call('status', {})).toMatchObject({ state: 'off' });
    const fourth = await connect(folder);
    expect(await fourth.connection.call('status', {})).toMatchObject({ pid: third.engine.pid });
  });

  it.each([
    ['not JSON', '{', undefined],
    ['memory', undefined, { memory: 5 }],
    ['a disk outside', undefined, { disks: [{ file: '../x.qcow2', format: 'qcow2', mode: 'persistent' }] }],
    ['a name with a line', undefined, { name: 'a\nb' }],
    ['a state of another kind', undefined, { process: { garbage: 7 } }],
  ])('refuses a damaged machine.json: %s', async (_, text, change) => {
    const folder = await smallMachine('talk');
    const file = path.join(folder, 'machine.json');
    const record = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, text ?? JSON.stringify({ ...record, ...change }));
    const { connection, exit } = own(folder, SMALL_OWNER);
    await expect(connection.call('status', {})).rejects.toMatchObject({ kind: 'corrupt', context: { path: file } });
    expect(await exit).toEqual({ code: 0, signal: null });
  });
});
