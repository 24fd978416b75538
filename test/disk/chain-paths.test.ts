import { expect, it } from 'vitest';
import { openChain } from '../../engine/disk/chain/open.ts';
import { backingName, backingPath } from '../../engine/disk/chain/paths.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { MemoryFolder } from './memory-folder.ts';
import { codecs } from './qcow2/qemu.ts';

it.each([
  ['/etc/passwd', /absolute/],
  ['../base.raw', /leaves the folder/],
  ['a/../../b', /leaves the folder/],
  ['json:{"driver":"null-co"}', /JSON/],
  ['nbd://server/disk', /URL/],
  ['nbd:server:10809', /URL/],
  ['file:base.raw', /URL/],
  ['C:\\base.raw', /absolute/],
  ['\\\\server\\share', /absolute/],
  ['sub\\base.raw', /backslashes/],
  ['', /empty/],
  ['a//b', /empty part/],
  ['a/', /empty part/],
  ['.', /folder/],
  ['NUL', /device/],
  ['com1.raw', /device/],
  ['base\u0000.raw', /control/],
])('a backing file is not followed to %j', (name, reason) => {
  expect(() => backingPath('disks/top.qcow2', name)).toThrow(reason);
});

it('a plain relative name is followed from the folder of the image', () => {
  expect(backingPath('disks/top.qcow2', 'base.raw')).toBe('disks/base.raw');
  expect(backingPath('top.qcow2', './old/base.raw')).toBe('old/base.raw');
  expect(backingName('disks/top.qcow2', 'disks/old/base.raw')).toBe('old/base.raw');
  expect(() => backingName('disks/top.qcow2', 'base.raw')).toThrow(/in the folder/);
});

async function link(folder: MemoryFolder, path: string, backing?: { path: string; format: string }): Promise<void> {
  const file = await folder.create(path);
  await createImage(file, { size: 65_536, clusterSize: 512, ...(backing === undefined ? {} : { backing }) });
  await file.close();
}

const open = (folder: MemoryFolder, path: string) =>
  openChain(folder, { path, format: 'qcow2' }, { access: 'read', codecs });

it('a circle of backing files is refused', async () => {
  const folder = new MemoryFolder();
  await link(folder, 'a', { path: 'b', format: 'qcow2' });
  await link(folder, 'b', { path: 'a', format: 'qcow2' });
  await expect(open(folder, 'a')).rejects.toMatchObject({ kind: 'corrupt', message: /circle/ });
  // A second name for a file is the same file.
  folder.names.set('b', folder.inode('a'));
  await expect(open(folder, 'a')).rejects.toMatchObject({ kind: 'corrupt', message: /circle/ });
  expect(folder.opened).toBe(0);
});

it('too deep a chain is refused, and nothing stays open', async () => {
  const folder = new MemoryFolder();
  await link(folder, '0');
  for (let depth = 1; depth <= 256; depth += 1) {
    await link(folder, String(depth), { path: String(depth - 1), format: 'qcow2' });
  }
  await expect(open(folder, '256')).rejects.toMatchObject({ kind: 'too-large' });
  const chain = await open(folder, '255');
  expect(chain.size).toBe(65_536);
  expect(folder.opened).toBe(256);
});

it('formats are those recorded, and never guessed', async () => {
  const folder = new MemoryFolder();
  await link(folder, 'guest-wrote-this');
  await link(folder, 'as-raw', { path: 'guest-wrote-this', format: 'raw' });
  const top = await open(folder, 'as-raw');
  const magic = new Uint8Array(4);
  await top.read(0, [magic]);
  expect(magic.join()).toBe('81,70,73,251');
  await link(folder, 'as-vmdk', { path: 'guest-wrote-this', format: 'vmdk' });
  await expect(open(folder, 'as-vmdk')).rejects.toMatchObject({ kind: 'unsupported', message: /vmdk/ });
});
