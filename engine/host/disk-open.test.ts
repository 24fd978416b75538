import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { contentOf } from '../../test/disk/qcow2/images.ts';
import { qemuCheck, qemuImg } from '../../test/disk/qcow2/qemu.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { createOverlay } from '../disk/chain/overlay.ts';
import { TemporaryDisk } from '../disk/temporary.ts';
import { openMachineDisk } from './disk-open.ts';

/** Names in a folder of the test's own. */
function place(): (name: string) => string {
  const folder = temporaryFolder();
  return name => path.join(folder, name);
}

const settings = { readonly: false, temporary: false };

it('a raw disk takes an overlay while it is in use, also when its size is no whole number of sectors', async () => {
  const at = place();
  writeFileSync(at('disk.img'), Buffer.alloc(100_001, 7));
  mkdirSync(at('links'));
  symlinkSync(at('disk.img'), at('links/disk.img'));
  const disk = await openMachineDisk({ path: at('links/disk.img'), ...settings });
  if (!(disk instanceof LiveDisk)) return expect.fail('The disk is no chain');
  await disk.write(0, [Buffer.alloc(512, 1)]);
  const overlay = await createOverlay(disk.active, 'overlay.qcow2');
  await disk.switchTo(overlay).frozen;
  await disk.write(100_000 - 160, [Buffer.alloc(512, 2)]);
  const content = await contentOf(disk);
  await disk.close();
  expect(readFileSync(at('disk.img'))).toEqual(Buffer.concat([Buffer.alloc(512, 1), Buffer.alloc(99_489, 7)]));
  writeFileSync(at('expected.img'), content);
  expect(await qemuCheck(at('overlay.qcow2'))).toMatchObject({ corruptions: 0, leaks: 0 });
  expect(JSON.parse(await qemuImg('info', '--output=json', at('overlay.qcow2')))).toMatchObject({
    'backing-filename': 'disk.img',
    'backing-filename-format': 'raw',
  });
  expect(await qemuImg('compare', '-f', 'qcow2', '-F', 'raw', at('overlay.qcow2'), at('expected.img'))).toMatch(
    'identical',
  );
});

it('a disk that is only read is a chain too; a temporary one keeps its writes', async () => {
  const at = place();
  writeFileSync(at('base.img'), Buffer.alloc(8192, 7));
  const disk = await openMachineDisk({ path: at('base.img'), readonly: true, temporary: false });
  expect(disk).toBeInstanceOf(LiveDisk);
  expect(disk.readonly).toBe(true);
  const temporary = await openMachineDisk({ path: at('base.img'), readonly: false, temporary: true });
  expect(temporary).toBeInstanceOf(TemporaryDisk);
  await temporary.write(0, [Buffer.alloc(512)]);
  await Promise.all([disk.close(), temporary.close()]);
  expect(readFileSync(at('base.img'))).toEqual(Buffer.alloc(8192, 7));
});
