// A worker that fills a ring as fast as it can: the other end of engine/base/shared-ring.test.ts.
import { workerData } from 'node:worker_threads';
import { RecordRing, SharedRing } from '../../engine/base/shared-ring.ts';

interface Task {
  readonly buffer: SharedArrayBuffer;
  readonly total: number;
  readonly records: boolean;
}

const task = workerData as Task;

function fill(bytes: Uint8Array, position: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = ((position + i) % 251) ^ (((position + i) >>> 16) & 255);
}

function produceBytes(): void {
  const ring = SharedRing.over(task.buffer);
  const chunk = new Uint8Array(30_011);
  let position = 0;
  while (position < task.total) {
    const length = Math.min(1 + (position % chunk.length), task.total - position);
    const bytes = chunk.subarray(0, length);
    fill(bytes, position);
    let written = 0;
    while (written < length) written += ring.write(bytes.subarray(written));
    position += length;
  }
}

function produceRecords(): void {
  const ring = RecordRing.over(task.buffer);
  const chunk = new Uint8Array(9001);
  let position = 0;
  let length = 0;
  while (position < task.total) {
    const record = chunk.subarray(0, length);
    fill(record, position);
    while (!ring.push(record));
    position += length;
    length = (length + 37) % 9001;
  }
}

if (task.records) produceRecords();
else produceBytes();
