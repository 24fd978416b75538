import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { kernelHeader } from '../../test/framework/machine-library.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import type { NewDisk } from '../api/machine.ts';
import { refuseOtherFiles, refuseOtherThanCheckpoint } from './expected-files.ts';

function file(content: string | Uint8Array): string {
  const to = path.join(temporaryFolder(), 'file');
  writeFileSync(to, typeof content === 'string' ? Buffer.from(content, 'latin1') : content);
  return to;
}

/** With `magic` at a place, among bytes that are nothing. */
function marked(at: number, magic: string): Uint8Array {
  const bytes = Buffer.alloc(Math.max(2048, at + 512), 0x93);
  bytes.write(magic, at, 'latin1');
  return bytes;
}

function elf(machine: number, bits: 1 | 2): Uint8Array {
  const bytes = Buffer.alloc(64);
  bytes.write('\x7fELF', 'latin1');
  bytes[4] = bits;
  bytes.writeUInt16LE(machine, 18);
  return bytes;
}

const QCOW2 = 'QFI\xfb\0\0\0\x03';
const CHECKPOINT = '\x89AFCK\r\n\x1a';

it.each([
  ['text', 'some words of a person, no machine at all, and some more of them\n', /it is text$/],
  ['nothing', '', /it is empty$/],
  ['qcow2', QCOW2, /a qcow2 disk image; give it to a new machine as a disk/],
  ['a CD', marked(0x8001, 'CD001'), /a CD image .*as a disk/],
  ['a raw disk', marked(0x1fe, '\x55\xaa'), /a disk image with a boot sector; .*as a disk/],
  ['a raw disk without partitions', marked(0x438, '\x53\xef'), /an ext file system; .*as a disk/],
  ['VMDK', marked(0, 'KDMV'), /VMDK disk image; convert it/],
  ['VDI', marked(0x40, '\x7f\x10\xda\xbe'), /VDI disk image; convert it/],
  ['a kernel', kernelHeader(), /a Linux kernel for RISC-V; give it to a new machine as its kernel/],
  ['a program', elf(62, 2), /a program \(ELF\) for x86-64$/],
  ['zip', 'PK\x03\x04', /a zip archive; unpack it first/],
  ['tar', marked(0x101, 'ustar'), /a tar archive; unpack it first/],
  ['gzip', '\x1f\x8b\x08\0', /compressed with gzip; unpack it first/],
  ['anything else', marked(0, '\x93'), /it does not begin like one$/],
])('no checkpoint: %s', async (_, content, said) => {
  const given = file(content);
  await expect(refuseOtherThanCheckpoint(given)).rejects.toMatchObject({
    kind: 'unsupported',
    message: expect.stringMatching(said),
    context: { path: given },
  });
});

it('a checkpoint is left to its reader, however damaged', async () => {
  await refuseOtherThanCheckpoint(file(CHECKPOINT));
});

const withKernel = (content: string | Uint8Array, firmware?: string | Uint8Array) => {
  const boot = { kind: 'files' as const, kernel: file(content) };
  return refuseOtherFiles({ boot: firmware === undefined ? boot : { ...boot, firmware: file(firmware) }, disks: [] });
};

it.each([
  ['text', 'root:x:0:0:root:/root:/bin/bash\n'.repeat(9), /not a kernel for RISC-V: it is text$/],
  ['nothing', '', /it is empty$/],
  ['an ELF file for another processor', elf(62, 2), /it is an ELF file for x86-64$/],
  ['32 bits', elf(243, 1), /32-bit RISC-V$/],
  ['a disk', QCOW2, /a qcow2 disk image; give it to a new machine as a disk/],
  ['a checkpoint', CHECKPOINT, /it is a checkpoint; import it/],
  ['code without a header', marked(0, '\x93'), /it does not begin like one$/],
])('no kernel: %s', async (_, content, said) => {
  await expect(withKernel(content)).rejects.toMatchObject({ message: expect.stringMatching(said) });
});

it('a kernel is an Image, an ELF file, one of them packed, or anything that firmware starts', async () => {
  for (const content of [kernelHeader(), elf(243, 2), '\x1f\x8b\x08\0']) await withKernel(content);
  await withKernel(marked(0, '\x93'), elf(243, 2));
  await expect(withKernel(kernelHeader(), kernelHeader())).rejects.toThrow(/not firmware.*a Linux kernel/);
});

const withDisk = (format: 'raw' | 'qcow2', content: string | Uint8Array) => {
  const disk: NewDisk = { kind: 'existing', path: file(content), format, mode: 'persistent' };
  return refuseOtherFiles({ boot: { kind: 'guest' }, disks: [disk] });
};

it('a disk that is something else is refused; a raw one may hold anything that a guest could read', async () => {
  await expect(withDisk('qcow2', 'text of a person')).rejects.toThrow('not a qcow2 image: it is text');
  await expect(withDisk('qcow2', marked(0, '\x93'))).rejects.toThrow('it does not begin like one');
  await expect(withDisk('raw', QCOW2)).rejects.toThrow('say so with ,format=qcow2');
  await expect(withDisk('raw', '')).rejects.toThrow('It is empty');
  await expect(withDisk('raw', '\xfd7zXZ\0')).rejects.toThrow('compressed with xz, not a raw disk; unpack it first');
  await expect(withDisk('raw', marked(0, 'vhdxfile'))).rejects.toThrow('convert it to qcow2 first');
  await expect(withDisk('raw', CHECKPOINT)).rejects.toThrow('import it');
  await withDisk('qcow2', QCOW2);
  for (const content of ['text', marked(0, '\x93'), marked(0x101, 'ustar'), new Uint8Array(512)]) {
    await withDisk('raw', content);
  }
});

it('a disk of a machine may hold whatever its guest wrote', async () => {
  const folder = path.join(temporaryFolder(), 'disks');
  mkdirSync(folder);
  const layer = path.join(folder, 'disk0-0123456789.raw');
  writeFileSync(layer, Buffer.from(QCOW2, 'latin1'));
  const disk: NewDisk = { kind: 'existing', path: layer, format: 'raw', mode: 'persistent' };
  await refuseOtherFiles({ boot: { kind: 'guest' }, disks: [disk] });
});

it('what is not there, or no file, is said', async () => {
  const folder = temporaryFolder();
  await expect(refuseOtherThanCheckpoint(path.join(folder, 'no'))).rejects.toMatchObject({ kind: 'missing' });
  await expect(refuseOtherThanCheckpoint(folder)).rejects.toThrow('not a regular file');
});
