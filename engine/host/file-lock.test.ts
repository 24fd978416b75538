import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { FileLock, type LockMode } from './file-lock.ts';
import { ownIdentity } from './process-identity.ts';

function newFile(): string {
  const file = path.join(temporaryFolder(), 'disk.img');
  writeFileSync(file, 'x');
  return file;
}

/** Another process that takes the lock; resolves with what it says about it. */
async function otherProcess(file: string, mode: LockMode): Promise<{ process: ChildProcess; says: string }> {
  const child = spawn(
    process.execPath,
    [path.join(import.meta.dirname, '../../test/host/lock-holder.ts'), file, mode],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const [says] = (await once(child.stdout!, 'data')) as [Buffer];
  return { process: child, says: says.toString().trim() };
}

describe('FileLock', () => {
  it('knows a file by its other names', async () => {
    const file = newFile();
    const other = `${file}.other`;
    linkSync(file, other);
    const reader = await FileLock.take(file, 'read');
    const second = await FileLock.take(other, 'read');
    await expect(FileLock.take(other, 'write')).rejects.toMatchObject({ kind: 'locked' });
    second.release();
    reader.release();
    const writer = await FileLock.take(file, 'write');
    await expect(FileLock.take(other, 'read')).rejects.toMatchObject({
      kind: 'locked',
      message: /in use here already/,
      context: { path: other },
    });
    writer.release();
    (await FileLock.take(other, 'write')).release();
  });

  it('of a file that is being closed keeps nobody from one that has got its inode', async () => {
    const file = newFile();
    const other = `${file}.other`;
    linkSync(file, other);
    const lock = await FileLock.take(file, 'write');
    lock.closing();
    (await FileLock.take(other, 'write')).release();
    await expect(FileLock.take(file, 'write')).rejects.toMatchObject({ kind: 'locked' });
    lock.release();
  });

  it('lets one writer in and names it to the next', async () => {
    const file = newFile();
    const lock = await FileLock.take(file, 'write');
    await expect(FileLock.take(file, 'write')).rejects.toMatchObject({
      kind: 'locked',
      context: { path: file, pid: process.pid, lock: `${file}.lock` },
    });
    lock.release();
    (await FileLock.take(file, 'write')).release();
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('lets readers in together, but not with a writer', async () => {
    const file = newFile();
    const readers = [await FileLock.take(file, 'read'), await FileLock.take(file, 'read')];
    await expect(FileLock.take(file, 'write')).rejects.toMatchObject({ kind: 'locked' });
    for (const reader of readers) reader.release();
    const writer = await FileLock.take(file, 'write');
    await expect(FileLock.take(file, 'read')).rejects.toMatchObject({ kind: 'locked' });
    writer.release();
  });

  it('holds against other processes, also through a link, until they end', async () => {
    const file = newFile();
    const link = path.join(path.dirname(file), 'link.img');
    symlinkSync(file, link);
    const other = await otherProcess(link, 'write');
    expect(other.says).toBe('held');
    await expect(FileLock.take(file, 'read')).rejects.toMatchObject({
      kind: 'locked',
      context: { pid: other.process.pid },
    });
    const exit = once(other.process, 'exit');
    other.process.stdin!.end();
    await exit;
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('is free again after its holder was killed', async () => {
    const file = newFile();
    const other = await otherProcess(file, 'write');
    expect(other.says).toBe('held');
    const exit = once(other.process, 'exit');
    other.process.kill('SIGKILL');
    await exit;
    expect(readdirSync(`${file}.lock`)).toHaveLength(1);
    const lock = await FileLock.take(file, 'write');
    expect(readdirSync(`${file}.lock`)).toHaveLength(1);
    lock.release();
  });

  it('gives the file to exactly one of several processes that want it at once', async () => {
    const file = newFile();
    const others = await Promise.all(Array.from({ length: 4 }, () => otherProcess(file, 'write')));
    expect(others.filter(other => other.says === 'held')).toHaveLength(1);
  });

  it('does not take over another host, and does take over an earlier boot and a number used again', async () => {
    const own = ownIdentity();
    const put = (file: string, change: Partial<typeof own>) => {
      const { pid, started, host, boot } = { ...own, ...change };
      mkdirSync(`${file}.lock`);
      writeFileSync(`${file}.lock/write-${pid}-${started}-${host}-${boot}-0a`, '');
    };
    const files = [newFile(), newFile(), newFile()] as const;
    put(files[0], { host: 'abcdef' });
    await expect(FileLock.take(files[0], 'write')).rejects.toMatchObject({ kind: 'locked' });
    put(files[1], { boot: 'abcdef' });
    (await FileLock.take(files[1], 'write')).release();
    put(files[2], { started: '1' });
    (await FileLock.take(files[2], 'write')).release();
  });

  it('ignores names that it did not write', async () => {
    const file = newFile();
    mkdirSync(`${file}.lock`);
    writeFileSync(`${file}.lock/notes.txt`, '');
    (await FileLock.take(file, 'write')).release();
    expect(readdirSync(`${file}.lock`)).toEqual(['notes.txt']);
  });

  it('says that the file is missing, and what is in the way of the lock', async () => {
    const file = newFile();
    await expect(FileLock.take(`${file}.none`, 'write')).rejects.toMatchObject({ kind: 'missing' });
    writeFileSync(`${file}.lock`, 'not a folder');
    await expect(FileLock.take(file, 'write')).rejects.toMatchObject({ context: { path: file, lock: `${file}.lock` } });
  });

  it('lets readers read where no folder can be made, and refuses writers there', async () => {
    // Nobody, not even root, can make a folder here.
    const file = '/sys/kernel/notes';
    (await FileLock.take(file, 'read')).release();
    await expect(FileLock.take(file, 'write')).rejects.toMatchObject({ kind: 'denied', context: { path: file } });
  });
});
