// The n-th operation on files fails while a job runs: the job fails or not, the machine's disk reads the same, and the
// job can be done again. AFTERIMAGE_JOBS_SEED replays one, AFTERIMAGE_JOB_FAULTS runs more.
import { expect, it } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { checkImage } from '../../engine/disk/qcow2/check.ts';
import { JobsMachine } from './jobs-machine.ts';
import { MemoryFolder } from './memory-folder.ts';
import { Random } from './qcow2/images.ts';

const CASES = Number(process.env.AFTERIMAGE_JOB_FAULTS ?? 1000);
const ONE_SEED = process.env.AFTERIMAGE_JOBS_SEED;

/** Counts operations, and makes one of them fail. */
class Fault {
  armed = false;
  hit = false;
  #left = 0;
  #kind: 'io' | 'no-space' = 'io';

  arm(after: number, kind: 'io' | 'no-space'): void {
    this.armed = true;
    this.hit = false;
    this.#left = after;
    this.#kind = kind;
  }

  pass(during: string): void {
    if (!this.armed) return;
    this.#left -= 1;
    if (this.#left >= 0) return;
    this.armed = false;
    this.hit = true;
    throw new AfterimageError(this.#kind, 'The host failed on purpose', { during });
  }
}

class FaultyFolder extends MemoryFolder {
  readonly #fault: Fault;

  constructor(fault: Fault) {
    super(file => faulty(file, fault));
    this.#fault = fault;
  }

  override async create(path: string): Promise<HostFile> {
    this.#fault.pass('create');
    return await super.create(path);
  }

  override async rename(from: string, to: string): Promise<void> {
    this.#fault.pass('rename');
    await super.rename(from, to);
  }

  override async flush(): Promise<void> {
    this.#fault.pass('flush names');
    await super.flush();
  }
}

function faulty(file: HostFile, fault: Fault): HostFile {
  const during = async <Result>(name: string, step: () => Promise<Result>): Promise<Result> => {
    fault.pass(name);
    return await step();
  };
  return {
    name: file.name,
    readonly: file.readonly,
    size: () => file.size(),
    close: () => file.close(),
    read: (at, into) => during('read', () => file.read(at, into)),
    write: (at, from) => during('write', () => file.write(at, from)),
    flush: () => during('flush', () => file.flush()),
    truncate: size => during('truncate', () => file.truncate(size)),
  };
}

async function faultCase(seed: number): Promise<boolean> {
  const random = new Random(seed);
  const fault = new Fault();
  const folder = new FaultyFolder(fault);
  const machine = await JobsMachine.create(random, folder);
  try {
    for (let layers = 1 + random.below(3); layers > 0; layers -= 1) {
      for (let count = random.below(6); count >= 0; count -= 1) await machine.requests();
      await machine.overlay();
    }
    for (let count = random.below(6); count >= 0; count -= 1) await machine.requests();
    fault.arm(random.below(random.pick([20, 60, 200])), random.pick(['io', 'no-space']));
    const failure = await machine.quietJob().catch((thrown: unknown) => AfterimageError.from(thrown));
    fault.armed = false;
    if (failure !== undefined && failure.message !== 'The host failed on purpose') throw failure;
    await machine.verify();
    await machine.requests();
    await machine.quietJob();
    await machine.verify();
    await machine.reopen();
    await machine.verify();
    const { layers } = machine;
    await machine.live.close();
    for (const { path, format } of layers) {
      if (format === 'raw') continue;
      const { corruptions, findings } = await checkImage(await folder.open(path, 'read'));
      if (corruptions > 0) throw new Error(`${path}: ${JSON.stringify(findings)}`);
    }
    return fault.hit;
  } catch (cause) {
    throw new Error(`${machine.log.slice(-12).join('\n')}\nAFTERIMAGE_JOBS_SEED=${seed} replays it`, { cause });
  }
}

it('a host that fails during a job costs nothing but the job', { timeout: 3_600_000 }, async () => {
  if (ONE_SEED !== undefined) {
    await faultCase(Number(ONE_SEED));
    return;
  }
  let hits = 0;
  for (let seed = 1; seed <= CASES; seed += 1) if (await faultCase(seed)) hits += 1;
  expect(hits).toBeGreaterThan(CASES / 3);
});
