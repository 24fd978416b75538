import { readFile, writeFile } from 'node:fs/promises';
import type { Disk, HostFile } from '../../../engine/disk/disk.ts';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { Qcow2Image, type Qcow2Options } from '../../../engine/disk/qcow2/image.ts';
import { Random } from '../../contract/random.ts';
import { codecs } from './qemu.ts';

/** An image of the host's disk, in memory: tests change it there and write it back for QEMU to judge. */
export async function loadFile(path: string, readonly = false): Promise<MemoryFile> {
  return new MemoryFile(path, await readFile(path), readonly);
}

export async function saveFile(file: MemoryFile, path: string): Promise<void> {
  await writeFile(path, file.content());
}

export async function openImage(file: HostFile, options: Qcow2Options = {}): Promise<Qcow2Image> {
  return await Qcow2Image.open(file, { codecs, ...options });
}

export async function contentOf(disk: Disk, offset = 0, length = disk.size - offset): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await disk.read(offset, [bytes]);
  return bytes;
}

/** Bytes that differ everywhere, so that any mix-up shows. */
export function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (; at + 4 <= length; at += 4) view.setUint32(at, random.word());
  for (; at < length; at += 1) bytes[at] = random.word();
  return bytes;
}

/** Bytes that compress to about a third. */
export function compressibleBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = at % 64 < 20 ? random.word() : 0x41;
  return bytes;
}

/** Cuts bytes into a few buffers, as a guest's scattered memory would. */
export function scattered(random: Random, bytes: Uint8Array): Uint8Array[] {
  const buffers: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(bytes.length - at, 1 + random.below(bytes.length));
    buffers.push(bytes.subarray(at, at + length));
    at += length;
  }
  return buffers;
}

/** The first byte at which two contents differ, for messages; -1 when they are equal. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  if (Buffer.compare(a, b) === 0) return -1;
  return a.findIndex((value, index) => value !== b[index]);
}

export { Random };
