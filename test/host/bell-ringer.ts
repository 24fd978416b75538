// A worker on the other end of two doorbells: the partner of engine/host/doorbell.test.ts.
import { workerData } from 'node:worker_threads';
import { Doorbell } from '../../engine/host/doorbell.ts';

interface Task {
  readonly mine: SharedArrayBuffer;
  readonly theirs: SharedArrayBuffer;
  /** Two words: the last number that we published, the last one that the other side answered. */
  readonly words: SharedArrayBuffer;
  readonly rounds: number;
}

const task = workerData as Task;
const mine = new Doorbell(task.mine);
const theirs = new Doorbell(task.theirs);
const words = new Int32Array(task.words);

for (let round = 1; round <= task.rounds; round++) {
  Atomics.store(words, 0, round);
  theirs.ring();
  for (;;) {
    const seen = mine.count;
    if (Atomics.load(words, 1) === round) break;
    mine.sleep(seen, Number.POSITIVE_INFINITY);
  }
}
