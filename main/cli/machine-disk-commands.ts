// `afterimage disks` and `jobs`: the layers of a machine's disks, and work on them.
import type { Command } from 'commander';
import type { DiskJobArguments, DiskJobKind, JobView } from '../../engine/api/control.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { parseCount, parseMachineDiskSize, parseSize } from './disk-options.ts';
import { explain, printable } from './explain.ts';
import { JobLine, jobText, onInterrupt } from './job-progress.ts';
import { type CommonOptions, defineCommand, type Ended, type Outcome, usage, withMachine } from './machine-command.ts';
import { detachedLines, disksLines, unneededLines } from './machine-disk-print.ts';
import { shortSize } from './texts.ts';

interface DisksOptions extends CommonOptions {
  readonly disk: number;
  readonly layer?: string;
  readonly size?: number;
  readonly repair?: true;
  readonly compress?: true;
  readonly limit?: number;
  readonly preview?: true;
  readonly unneeded?: true;
  readonly wait: boolean;
}

interface JobsOptions extends CommonOptions {
  readonly cancel?: number;
  readonly limit?: number;
  readonly rate?: number;
}

const KINDS: readonly DiskJobKind[] = ['overlay', 'commit', 'stream', 'compact', 'check', 'resize', 'delete'];

const DISKS_HELP = `
Without a job: every disk with its layers, what each stands on, and who needs it.

Jobs, on a running machine too:
  overlay  put a new layer on top
  commit   write a layer into the one below it
  stream   copy what lies below into a layer
  compact  write a layer anew without what it does not need
  check    look for damage
  resize   change the size of the disk
  delete   delete a --layer that nobody needs; --unneeded shows which those are

To add and remove disks see 'afterimage configure'.
`;

/** Where an event could be missed, the list of jobs is asked for. */
const LOOK_MILLISECONDS = 1000;

export function addMachineDiskCommands(program: Command, ended: Ended): Command[] {
  const disks = defineCommand(program, 'disks <name> [job]', "show the layers of a machine's disks, or work on them")
    .option('--disk <number>', 'which disk', parseIndex, 0)
    .option('--layer <path>', 'which layer, as shown; the active one unless given')
    .option('--size <size>', 'resize: the new size', parseMachineDiskSize)
    .option('--repair', 'check: mend what can be mended')
    .option('--compress', 'compact: compress clusters')
    .option('--limit <size>', 'bytes a second at most', parseSize)
    .option('--preview', 'only say what would be done')
    .option('--unneeded', 'show the layers that nobody needs')
    .option('--no-wait', 'do not wait for the end of the job')
    .addHelpText('after', DISKS_HELP)
    .action(async (name: string, job: string | undefined, options: DisksOptions) =>
      ended(job === undefined ? await showDisks(name, options) : await doJob(name, job, options)),
    );
  const jobs = defineCommand(program, 'jobs <name>', 'list, cancel or slow down what a machine works on')
    .option('--cancel <job>', 'give a job up', parseCount)
    .option('--limit <job>', 'how fast a job may go, with --rate', parseCount)
    .option('--rate <size>', 'bytes a second; as fast as it can unless given', parseSize)
    .action(async (name: string, options: JobsOptions) => ended(await showJobList(name, options)));
  return [disks, jobs];
}

function showDisks(name: string, options: DisksOptions): Promise<number> {
  return withMachine('show the disks of', name, options, async connection => {
    const disks = await connection.call('disks', {});
    const detached = await connection.call('detached-disks', {});
    if (options.unneeded) {
      const layers = [...disks, ...detached].flatMap(disk => disk.layers).filter(({ may }) => may.delete.allowed);
      return { json: { layers }, lines: unneededLines(layers) };
    }
    return { json: { disks, detached }, lines: [...disksLines(disks), ...detachedLines(detached)] };
  });
}

function doJob(name: string, job: string, options: DisksOptions): Promise<number> {
  return withMachine(job, name, options, async connection => {
    const arguments_ = argumentsOf(job, options);
    await checkDisk(connection, options.disk);
    if (options.preview) {
      const preview = await connection.call('disk-job-preview', arguments_);
      const { text, bytesToCopy, bytesFreed, allowed, reason } = preview;
      const room = `Copies ${shortSize(bytesToCopy)}, frees ${shortSize(bytesFreed)}`;
      const verdict = allowed ? room : `Not possible: ${printable(reason ?? 'no reason given')}`;
      return { json: preview, lines: [printable(text), verdict], status: allowed ? 0 : 1 };
    }
    const follower = new JobFollower(connection, options);
    const started = await connection.call('disk-job', arguments_);
    if (!options.wait) return { json: started, lines: [`Job ${started.job}`] };
    return ofJob(await follower.end(started.job));
  });
}

function argumentsOf(job: string, options: DisksOptions): DiskJobArguments {
  const kind = KINDS.find(one => one === job);
  if (kind === undefined) throw usage(`there is no job '${job}'; there are ${KINDS.join(', ')}`);
  const { disk, layer, size, repair, compress, limit } = options;
  if (kind === 'delete' && layer === undefined) throw usage('delete needs the --layer that is to go');
  if (kind === 'resize' && size === undefined) throw usage('resize needs the new --size');
  const given = Object.entries({ layer, size, repair, compress, bytesPerSecond: limit });
  return { disk, kind, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) };
}

async function checkDisk(connection: MachineConnection, number: number): Promise<void> {
  const disks = await connection.call('disks', {});
  if (disks.some(({ disk }) => disk === number)) return;
  if (disks.length === 0) throw usage('the machine has no disks');
  const names = disks.map(({ disk, device }) => `${disk} (${device})`).join(', ');
  throw usage(`the machine has no disk ${number}; there are ${names}`);
}

function ofJob(job: JobView): Outcome {
  if (job.state === 'failed' && job.error !== undefined) throw AfterimageError.fromPlain(job.error);
  if (job.state !== 'done') throw new AfterimageError('state', `The job was ${job.state}`);
  return { json: job, lines: [job.outcome === undefined ? `${job.kind} is done` : printable(job.outcome)] };
}

function showJobList(name: string, options: JobsOptions): Promise<number> {
  return withMachine('work on the jobs of', name, options, async connection => {
    const { cancel, limit, rate } = options;
    if (cancel !== undefined) await connection.call('cancel-job', { job: cancel });
    if (limit !== undefined) {
      await connection.call('limit-job', { job: limit, ...(rate === undefined ? {} : { bytesPerSecond: rate }) });
    }
    const jobs = await connection.call('jobs', {});
    return { json: { jobs }, lines: jobs.length === 0 ? ['There are no jobs'] : jobs.map(jobLine) };
  });
}

function jobLine(job: JobView): string {
  const rest = job.error === undefined ? (job.outcome ?? '') : explain(job.error);
  return `${job.job}  ${job.state}  ${jobText(job)}${rest === '' ? '' : `: ${printable(rest)}`}`;
}

/** Waits for the end of a job, and shows how far it is. It hears of jobs from its construction on. */
class JobFollower {
  readonly #connection: MachineConnection;
  readonly #line: JobLine;
  readonly #latest = new Map<number, JobView>();
  #changed: () => void = () => {};

  constructor(connection: MachineConnection, options: CommonOptions) {
    this.#connection = connection;
    this.#line = new JobLine(options);
    connection.on('job', ({ job }) => this.#hear(job));
  }

  async end(number: number): Promise<JobView> {
    using _ = onInterrupt(() => void this.#connection.call('cancel-job', { job: number }).catch(() => {}));
    try {
      for (;;) {
        const job = this.#latest.get(number);
        if (job !== undefined && job.state !== 'running') return job;
        if (job !== undefined) this.#line.show(job);
        await this.#change();
      }
    } finally {
      this.#line.clear();
    }
  }

  #hear(job: JobView): void {
    this.#latest.set(job.job, job);
    this.#changed();
  }

  async #change(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const heard = new Promise<void>(resolve => {
      this.#changed = resolve;
      timer = setTimeout(resolve, LOOK_MILLISECONDS);
    });
    await Promise.race([heard, this.#connection.ended]);
    clearTimeout(timer);
    for (const job of await this.#connection.call('jobs', {})) this.#latest.set(job.job, job);
  }
}

function parseIndex(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw usage(`'${text}' is no number of a disk; the first is 0`);
  return Number(text);
}
