import type { JobView } from '../../engine/api/control.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { printable } from './explain.ts';
import type { CommonOptions } from './machine-command.ts';
import { shortSize } from './texts.ts';

/**
 * Shows how far jobs of this kind are, on a terminal, and gives them up when the command is interrupted, until it is
 * disposed of.
 */
export function showJobs(connection: MachineConnection, kind: JobView['kind'], options: CommonOptions): Disposable {
  const line = new JobLine(options);
  const running = new Set<number>();
  const end = connection.on('job', ({ job }) => {
    if (job.kind !== kind) return;
    if (job.state !== 'running') running.delete(job.job);
    else {
      running.add(job.job);
      line.show(job);
    }
  });
  const interrupts = onInterrupt(() => {
    for (const job of running) connection.call('cancel-job', { job }).catch(() => {});
  });
  return {
    [Symbol.dispose]: () => {
      end();
      line.clear();
      interrupts[Symbol.dispose]();
    },
  };
}

/** The first Ctrl-C gives up what is under way, and the command ends when that is done; the second one ends it. */
export function onInterrupt(cancel: () => void): Disposable {
  process.once('SIGINT', cancel);
  return { [Symbol.dispose]: () => void process.off('SIGINT', cancel) };
}

/** One changing line on standard error, when that is a terminal. */
export class JobLine {
  readonly #on: boolean;
  #shown = false;

  constructor(options: CommonOptions) {
    this.#on = process.stderr.isTTY === true && !options.json;
  }

  show(job: JobView): void {
    if (!this.#on) return;
    this.#shown = true;
    process.stderr.write(`\r\u001b[K${jobText(job)}`.slice(0, (process.stderr.columns ?? 80) + 2));
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[K');
    this.#shown = false;
  }
}

/** `commit disk0: 41.3 %, 1.2 GiB of 3 GiB, 210 MiB/s`; less where there is nothing to count. */
export function jobText({ kind, subject, done, total, bytesPerSecond }: JobView): string {
  const name = `${kind} ${printable(subject)}`;
  if (total === 0) return name;
  const speed = bytesPerSecond === undefined ? '' : `, ${shortSize(bytesPerSecond)}/s`;
  return `${name}: ${((100 * done) / total).toFixed(1)} %, ${shortSize(done)} of ${shortSize(total)}${speed}`;
}
