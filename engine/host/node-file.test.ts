import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { openHostFile } from './node-file.ts';

function newFile(content: Uint8Array | string): string {
  const file = path.join(temporaryFolder(), 'disk.img');
  writeFileSync(file, content);
  return file;
}

const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);

describe('openHostFile', () => {
  it('reads into several buffers and zeroes what lies past the end', async () => {
    const file = await openHostFile(newFile(pattern(1000)), { readonly: true });
    const into = [
      new Uint8Array(300).fill(9),
      new Uint8Array(0),
      new Uint8Array(600).fill(9),
      new Uint8Array(5).fill(9),
    ];
    await file.read(200, into);
    const all = Uint8Array.from(into.flatMap(buffer => [...buffer]));
    expect(all.subarray(0, 800)).toEqual(pattern(1000).subarray(200));
    expect(all.subarray(800)).toEqual(new Uint8Array(105));
    await file.close();
  });

  it('writes several buffers, grows the file, and reads them back into shared memory', async () => {
    const name = newFile('');
    const file = await openHostFile(name, { readonly: false });
    const shared = new Uint8Array(new SharedArrayBuffer(8192));
    shared.set(pattern(8192));
    await file.write(512, [shared.subarray(0, 5000), shared.subarray(5000)]);
    await file.flush();
    expect(await file.size()).toBe(512 + 8192);
    shared.fill(0);
    await file.read(512, [shared]);
    expect(Buffer.from(shared).equals(Buffer.from(pattern(8192)))).toBe(true);
    await file.truncate(100);
    expect(await file.size()).toBe(100);
    await file.close();
    expect(readFileSync(name)).toEqual(Buffer.alloc(100));
  });

  it('moves more buffers than the host takes in one call', async () => {
    const name = newFile('');
    const file = await openHostFile(name, { readonly: false });
    const content = pattern(3000 * 7);
    const buffers = Array.from({ length: 3000 }, (_, i) => content.subarray(i * 7, i * 7 + 7));
    await file.write(3, buffers);
    const into = Array.from({ length: 3000 }, () => new Uint8Array(7));
    await file.read(3, into);
    expect(Buffer.concat(into).equals(Buffer.from(content))).toBe(true);
    await file.close();
  });

  it('gives space back where the host can, and says where it cannot', async () => {
    const name = newFile(Buffer.alloc(2 ** 20, 1));
    const probe = newFile(Buffer.alloc(2 ** 20, 1));
    const hostCan = spawnSync('fallocate', ['--punch-hole', '--offset', '0', '--length', '65536', probe]).status === 0;
    const file = await openHostFile(name, { readonly: false });
    const before = statSync(name).blocks;
    const punched = await Promise.all([file.punch?.(65_536, 131_072), file.punch?.(524_288, 65_536)]);
    expect(punched).toEqual([hostCan, hostCan]);
    const into = Buffer.alloc(2 ** 20);
    await file.read(0, [into]);
    await file.close();
    const expected = Buffer.alloc(2 ** 20, 1);
    if (hostCan) expected.fill(0, 65_536, 196_608).fill(0, 524_288, 589_824);
    expect(into.equals(expected)).toBe(true);
    expect(statSync(name).blocks < before).toBe(hostCan);
    expect(statSync(name).size).toBe(2 ** 20);
  });

  it('keeps the space of ranges that are not worth it', async () => {
    const file = await openHostFile(newFile(Buffer.alloc(2 ** 17, 1)), { readonly: false });
    expect(await file.punch?.(4096, 4096)).toBe(false);
    await file.close();
  });

  it('locks until it is closed', async () => {
    const name = newFile('x');
    const file = await openHostFile(name, { readonly: false });
    await expect(openHostFile(name, { readonly: true })).rejects.toMatchObject({ kind: 'locked' });
    await file.close();
    const [one, two] = [await openHostFile(name, { readonly: true }), await openHostFile(name, { readonly: true })];
    await expect(openHostFile(name, { readonly: false })).rejects.toMatchObject({ kind: 'locked' });
    await one.close();
    await two.close();
    expect(existsSync(`${name}.lock`)).toBe(false);
  });

  it('refuses to write to a file opened for reading', async () => {
    const file = await openHostFile(newFile('x'), { readonly: true });
    await expect(file.write(0, [pattern(1)])).rejects.toMatchObject({ kind: 'io', context: { during: 'write' } });
    await file.close();
  });

  it('says what is wrong with a path', async () => {
    const folder = temporaryFolder();
    const fifo = path.join(folder, 'fifo');
    mkdirSync(path.join(folder, 'sub'));
    spawnSync('mkfifo', [fifo]);
    const opened = (name: string) => openHostFile(path.join(folder, name), { readonly: true });
    await expect(opened('none')).rejects.toMatchObject({
      kind: 'missing',
      context: { path: path.join(folder, 'none') },
    });
    await expect(opened('sub')).rejects.toMatchObject({ kind: 'unsupported', message: /folder/ });
    await expect(opened('fifo')).rejects.toMatchObject({ kind: 'unsupported', message: /regular/ });
    await expect(opened('x'.repeat(300))).rejects.toMatchObject({ kind: 'missing', message: /too long/ });
  });

  it('says when the host lets the file grow no further', async () => {
    const name = newFile('');
    const script = `
      import { openHostFile } from ${JSON.stringify(path.join(import.meta.dirname, 'node-file.ts'))};
      process.on('SIGXFSZ', () => {});
      const file = await openHostFile(${JSON.stringify(name)}, { readonly: false });
      await file.write(0, [new Uint8Array(1 << 20)]).catch(error => console.log(error.kind));
    `;
    const result = spawnSync('sh', ['-c', 'ulimit -f 8; exec "$0" --input-type=module-typescript', process.execPath], {
      input: script,
      encoding: 'utf8',
    });
    expect(result.stdout.trim()).toBe('too-large');
  });
});
