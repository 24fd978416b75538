import { describe, expect, it } from 'vitest';
import { machineAddress } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { BlockRequest, BlockRequestKind, BlockStatus } from '../devices/virtio/block/backend.ts';
import type { Disk } from '../disk/disk.ts';
import { createDiskBuffers, DiskLink } from './disk-link.ts';
import { DiskServer } from './disk-server.ts';
import { Doorbell } from './doorbell.ts';

const MEMORY = 1 << 20;
const DISK = 1 << 20;

/** A disk in memory that completes each request when the test says so, or at once. */
class HeldDisk implements Disk {
  readonly size = DISK;
  readonly readonly = false;
  readonly content = new Uint8Array(DISK);
  readonly log: string[] = [];
  hold = false;
  fail: AfterimageError | undefined;
  readonly #held: (() => void)[] = [];

  async #step(name: string): Promise<void> {
    this.log.push(name);
    if (this.hold) await new Promise<void>(resolve => this.#held.push(resolve));
    if (this.fail !== undefined) throw this.fail;
  }

  get heldCount(): number {
    return this.#held.length;
  }

  releaseLast(): void {
    this.#held.pop()?.();
  }

  releaseAll(): void {
    this.hold = false;
    for (const resolve of this.#held.splice(0)) resolve();
  }

  async read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    await this.#step(`read ${offset}`);
    let at = offset;
    for (const buffer of into) {
      buffer.set(this.content.subarray(at, at + buffer.length));
      at += buffer.length;
    }
  }

  async write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    await this.#step(`write ${offset}`);
    let at = offset;
    for (const buffer of from) {
      this.content.set(buffer, at);
      at += buffer.length;
    }
  }

  async flush(): Promise<void> {
    await this.#step('flush');
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#step(`discard ${offset} ${length}`);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.#step(`write-zeroes ${offset} ${length}`);
    this.content.fill(0, offset, offset + length);
  }

  async close(): Promise<void> {}
}

function setUp() {
  const memory = new SharedArrayBuffer(MEMORY);
  const buffers = createDiskBuffers();
  const [hartBell, ioBell] = [new Doorbell(), new Doorbell()];
  const disk = new HeldDisk();
  const reported: AfterimageError[] = [];
  const server = new DiskServer({ buffers, hartBell, disks: [disk], memory, report: error => reported.push(error) });
  const link = new DiskLink(buffers, ioBell, [{ size: disk.size, readonly: false }]);
  let nextId = 0;
  /** Submits and returns where the result will be. */
  const submit = (kind: BlockRequestKind, offset: number, length: number, segments: BlockRequest['segments'] = []) => {
    const result: { status?: BlockStatus } = {};
    link.disks[0]!.submit({ id: nextId++, kind, offset, length, segments }, status => {
      if (result.status !== undefined) expect.fail('a request completed twice');
      result.status = status;
    });
    return result;
  };
  /** Lets both ends work until the hart waits for nothing. */
  const settle = async () => {
    for (let round = 0; round < 2000 && link.inFlight > 0; round++) {
      server.pump();
      await new Promise(resolve => setImmediate(resolve));
      link.poll();
    }
    expect(link.inFlight).toBe(0);
  };
  return { memory: new Uint8Array(memory), disk, server, link, submit, settle, reported, hartBell, ioBell };
}

const segment = (address: number, length: number) => ({ address: machineAddress(address), length });

describe('DiskLink and DiskServer', () => {
  it('moves data straight between the disk and machine memory', async () => {
    const { memory, disk, submit, settle } = setUp();
    memory.fill(7, 4096, 4096 + 1024);
    const written = submit('write', 2048, 1024, [segment(4096, 300), segment(4396, 724)]);
    expect(written.status).toBeUndefined();
    await settle();
    expect(written.status).toBe('ok');
    expect(disk.content.subarray(2048, 3072)).toEqual(new Uint8Array(1024).fill(7));
    const read = submit('read', 2048, 512, [segment(9000, 512)]);
    await settle();
    expect(read.status).toBe('ok');
    expect([...memory.subarray(8999, 9513)].filter(byte => byte === 7)).toHaveLength(512);
  });

  it('passes flush, discard and write-zeroes on', async () => {
    const { disk, submit, settle } = setUp();
    const results = [submit('flush', 0, 0), submit('discard', 512, 1024), submit('write-zeroes', 4096, 512)];
    await settle();
    expect(results.map(result => result.status)).toEqual(['ok', 'ok', 'ok']);
    expect(disk.log).toEqual(['flush', 'discard 512 1024', 'write-zeroes 4096 512']);
  });

  it('tells the hart of a disk that has got larger', async () => {
    const { server, link } = setUp();
    const heard: number[] = [];
    link.disks[0]!.whenResized?.(size => heard.push(size));
    server.announceSize(0, 2 * DISK);
    link.poll();
    expect([link.disks[0]!.size, heard]).toEqual([2 * DISK, [2 * DISK]]);
  });

  it('completes requests in the order in which the disk does', async () => {
    const { disk, server, link, submit } = setUp();
    disk.hold = true;
    const first = submit('read', 0, 512, [segment(0, 512)]);
    const second = submit('read', 512, 512, [segment(512, 512)]);
    server.pump();
    expect(disk.heldCount).toBe(2);
    disk.releaseLast();
    await new Promise(resolve => setImmediate(resolve));
    link.poll();
    expect([first.status, second.status]).toEqual([undefined, 'ok']);
    disk.releaseAll();
    await new Promise(resolve => setImmediate(resolve));
    link.poll();
    expect(first.status).toBe('ok');
  });

  it('takes any number of requests though the rings are bounded', async () => {
    const { memory, disk, submit, settle } = setUp();
    for (let i = 0; i < 512; i++) disk.content.fill(i, i * 512, (i + 1) * 512);
    const results = Array.from({ length: 6000 }, (_, i) => {
      const slot = i % 512;
      return submit('read', slot * 512, 512, [segment(slot * 512, 512)]);
    });
    await settle();
    expect(results.every(result => result.status === 'ok')).toBe(true);
    for (let i = 0; i < 512; i++) expect(memory[i * 512 + 511]).toBe(i & 255);
  });

  it('tells the I/O thread that there is room again after a hart that did not poll for long', async () => {
    const { disk, server, link, submit, ioBell } = setUp();
    const results = Array.from({ length: 1600 }, () => submit('flush', 0, 0));
    for (let round = 0; round < 200; round++) {
      server.pump();
      await new Promise(resolve => setImmediate(resolve));
    }
    const run = disk.log.length;
    expect(run).toBeLessThan(1600);
    // From here on the server works only when it is rung.
    const listening = ioBell.listen(() => server.pump());
    for (let round = 0; round < 200 && link.inFlight > 0; round++) {
      link.poll();
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(results.filter(result => result.status === 'ok')).toHaveLength(1600);
    listening.close();
    await listening.done;
  });

  it('sends a request of thousands of tiny segments in pieces of whole sectors', async () => {
    const { memory, disk, submit, settle } = setUp();
    const count = 512 * 15;
    const segments = Array.from({ length: count }, (_, i) => segment(i * 11, 7));
    for (let i = 0; i < disk.size; i++) disk.content[i] = (i % 251) + 1;
    const result = submit('read', 1024, count * 7, segments);
    await settle();
    expect(result.status).toBe('ok');
    expect(disk.log.length).toBeGreaterThan(1);
    expect(disk.log.every(line => Number(line.split(' ')[1]) % 512 === 0)).toBe(true);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < 7; j++) {
        const expected = ((1024 + i * 7 + j) % 251) + 1;
        if (memory[i * 11 + j] !== expected) expect.fail(`byte ${j} of segment ${i}`);
      }
      if (memory[i * 11 + 7] !== 0) expect.fail(`a byte after segment ${i} was written`);
    }
  });

  it('reports one failed piece as the failure of the request, once', async () => {
    const { disk, server, submit, settle } = setUp();
    disk.hold = true;
    const segments = Array.from({ length: 2048 }, (_, i) => segment(i * 8, 8));
    const result = submit('write', 0, 2048 * 8, segments);
    server.pump();
    expect(disk.heldCount).toBe(2);
    disk.releaseLast();
    await new Promise(resolve => setImmediate(resolve));
    disk.fail = new AfterimageError('no-space', 'No space is left on the host');
    disk.releaseAll();
    await settle();
    expect(result.status).toBe('io-error');
  });

  it('turns errors of the disk into statuses, and reports those of the host', async () => {
    const { disk, submit, settle, reported } = setUp();
    disk.fail = new AfterimageError('io', 'The host failed');
    const failed = submit('write', 0, 512, [segment(0, 512)]);
    await settle();
    disk.fail = new AfterimageError('unsupported', 'Not on this disk');
    const refused = submit('discard', 0, 512);
    await settle();
    expect([failed.status, refused.status]).toEqual(['io-error', 'unsupported']);
    expect(reported.map(error => error.kind)).toEqual(['io']);
  });

  it('never touches bytes outside machine memory', async () => {
    const { submit, settle, reported } = setUp();
    const results = [
      submit('read', 0, 512, [segment(MEMORY - 511, 512)]),
      submit('read', 0, 512, [segment(-1, 512)]),
      submit('read', 0, 512, [segment(0, 511)]),
    ];
    await settle();
    expect(results.map(result => result.status)).toEqual(['io-error', 'io-error', 'io-error']);
    expect(reported.map(error => error.kind)).toEqual(['internal', 'internal', 'internal']);
  });

  it('finishes what an ended hart left behind', async () => {
    const { disk, server, submit } = setUp();
    for (let i = 0; i < 1500; i++) submit('write', 512 * (i % 100), 512, [segment(0, 512)]);
    await server.finish();
    expect(disk.log).toHaveLength(1500);
  });
});
