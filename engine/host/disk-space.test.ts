import { expect, it } from 'vitest';
import { AfterimageError } from '../base/errors.ts';
import { RecordRing } from '../base/shared-ring.ts';
import type { Disk } from '../disk/disk.ts';
import { MemoryFile } from '../disk/memory-file.ts';
import { RawDisk } from '../disk/raw.ts';
import { createDiskBuffers } from './disk-link.ts';
import { decodeCompletion, encodeRequest } from './disk-protocol.ts';
import { DiskServer } from './disk-server.ts';
import { Doorbell } from './doorbell.ts';

/** A disk on a host that has no room while `full`. */
class TightDisk implements Disk {
  readonly size = 65_536;
  readonly readonly = false;
  full = true;
  tries = 0;
  readonly file = new MemoryFile('tight.raw', new Uint8Array(65_536));
  readonly #disk = RawDisk.open(this.file);

  async read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    await (await this.#disk).read(offset, into);
  }

  async write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    this.tries += 1;
    if (this.full) throw new AfterimageError('no-space', 'No space is left on the host', { path: 'tight.raw' });
    await (await this.#disk).write(offset, from);
  }

  async flush(): Promise<void> {}
  async discard(): Promise<void> {}
  async writeZeroes(): Promise<void> {}
  async close(): Promise<void> {}
}

function server(canWait: boolean) {
  const buffers = createDiskBuffers();
  const disk = new TightDisk();
  const memory = new SharedArrayBuffer(65_536);
  new Uint8Array(memory).fill(7);
  const events: string[] = [];
  const made = new DiskServer({
    buffers,
    hartBell: new Doorbell(),
    disks: [disk],
    memory,
    report: error => events.push(error.kind),
    space: { disks: [canWait], full: () => events.push('full'), resumed: () => events.push('resumed') },
  });
  const requests = RecordRing.over(buffers.requests);
  const write = (tag: number, offset: number) =>
    requests.push(
      encodeRequest({
        tag,
        disk: 0,
        kind: 'write',
        offset,
        length: 512,
        segments: [{ address: offset as never, length: 512 }],
      }),
    );
  const completions = RecordRing.over(buffers.completions);
  const completed = () => {
    const record = completions.shift();
    return record && decodeCompletion(record);
  };
  return { made, disk, events, write, completed };
}

it('requests that find no room wait and lose nothing', async () => {
  const { made, disk, events, write, completed } = server(true);
  write(1, 0);
  write(2, 1024);
  made.pump();
  await expect.poll(() => events).toEqual(['full']);
  made.retry();
  await expect.poll(() => disk.tries).toBeGreaterThanOrEqual(4);
  expect(completed()).toBeUndefined();
  disk.full = false;
  await expect.poll(() => events).toEqual(['full', 'resumed']);
  made.pump();
  expect([completed(), completed()].map(one => one?.status)).toEqual(['ok', 'ok']);
  expect(disk.file.content().filter(byte => byte === 7)).toHaveLength(1024);
});

it('a disk to which no room can come back fails', async () => {
  const { made, events, write, completed } = server(false);
  write(1, 0);
  made.pump();
  await expect.poll(() => events).toEqual(['no-space']);
  made.pump();
  expect(completed()?.status).toBe('io-error');
});

it('a machine that ends does not wait for room', async () => {
  const { made, events, write } = server(true);
  write(1, 0);
  made.pump();
  await expect.poll(() => events).toEqual(['full']);
  await made.finish();
  expect(events).toEqual(['full', 'no-space']);
});
