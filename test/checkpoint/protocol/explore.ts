// Runs scenarios under every order of steps, and says what a sequential machine would have given.
import type { PendingStrategy } from '../../../engine/api/checkpoints.ts';
import {
  DISK_SECTORS,
  diskTag,
  type Mutant,
  memoryTag,
  PAGES,
  type ProtocolRequest,
  SECTORS,
  type Stage,
  World,
} from './world.ts';

export interface Scenario {
  readonly name: string;
  /** Issued before the moment, in this order. */
  readonly pending: readonly ProtocolRequest[];
  /** Issued after it, in this order. */
  readonly later: readonly ProtocolRequest[];
  /** Stores of the guest after the moment: page and sector. */
  readonly stores: readonly (readonly [page: number, sector: number])[];
  /** Whether file operations may fail. */
  readonly failures?: boolean;
  /** Pages that the saver visits on its own, at any time after the moment; the others at the end. */
  readonly saves: readonly number[];
}

export interface Exploration {
  readonly schedules: number;
  /** The first schedule that went wrong, and how. */
  readonly problem: { readonly schedule: readonly string[]; readonly what: string } | undefined;
}

interface Issued {
  readonly request: ProtocolRequest;
  readonly pending: boolean;
  /** Values that each sector of the source had between issue and completion, for a write. */
  readonly sources: Set<number>[];
  /** Step numbers. */
  readonly issuedAt: number;
  polledAt: number;
}

const storeTag = (index: number): number => 0x3000 + index;

/** One order of steps: at each point the steps that are possible, of which a number says which is taken. */
class Run {
  readonly world: World;
  readonly steps: string[] = [];
  readonly #scenario: Scenario;
  readonly #issued = new Map<number, Issued>();
  readonly #stored = new Map<number, number>();
  #step = 0;
  #momentAt = 0;
  #nextPending = 0;
  #nextLater = 0;
  readonly #saves: Set<number>;
  readonly #blocked = new Set<number>();
  #pumped = true;

  constructor(world: World, scenario: Scenario) {
    this.world = world;
    this.#scenario = scenario;
    this.#saves = new Set(scenario.saves);
  }

  possible(): string[] {
    const { pending, later, stores } = this.#scenario;
    const steps: string[] = [];
    if (this.#momentAt === 0) {
      if (this.#nextPending < pending.length) steps.push('issue');
      else steps.push('moment');
    } else if (!this.world.standing) {
      if (this.#nextLater < later.length) steps.push('issue');
      stores.forEach((_, index) => {
        if (!this.#stored.has(index)) steps.push(`store ${index}`);
      });
      for (const page of this.#saves) steps.push(`save ${page}`);
    }
    if (!this.#pumped) steps.push('pump');
    this.world.operations.forEach((_, index) => {
      steps.push(`end ${index}`);
      if (this.#scenario.failures) steps.push(`fail ${index}`);
    });
    if (this.#unpolled) steps.push('poll');
    return steps;
  }

  #unpolled = false;

  async take(step: string): Promise<void> {
    this.#step += 1;
    this.steps.push(step);
    const { world } = this;
    const [verb, number] = step.split(' ');
    const index = Number(number);
    switch (verb) {
      case 'issue':
        this.#issue();
        this.#pumped = false;
        break;
      case 'moment':
        this.#momentAt = this.#step;
        world.moment();
        this.#pumped = false;
        break;
      case 'store': {
        const [page, sector] = this.#scenario.stores[index]!;
        world.store(page, sector, storeTag(index));
        this.#stored.set(index, this.#step);
        for (const { request, sources, polledAt } of this.#issued.values()) {
          if (request.kind === 'write' && polledAt === 0 && request.page === page) {
            sources[sector - request.in]?.add(storeTag(index));
          }
        }
        break;
      }
      case 'save':
        this.#saves.delete(index);
        // What is pinned can be saved after some request has ended.
        if (!world.save(index)) this.#blocked.add(index);
        break;
      case 'pump':
        world.pump();
        await world.rest();
        this.#pumped = true;
        this.#unpolled = true;
        break;
      case 'end':
      case 'fail':
        await world.complete(index, verb === 'fail');
        this.#unpolled = true;
        break;
      case 'poll':
        this.#poll();
        this.#unpolled = false;
        break;
    }
  }

  #issue(): void {
    const { pending, later } = this.#scenario;
    const isPending = this.#nextPending < pending.length;
    const request = isPending ? pending[this.#nextPending++]! : later[this.#nextLater++]!;
    const id = this.#issued.size;
    const sources = Array.from({ length: request.sectors }, (_, sector) => {
      return new Set([this.world.load(request.page, request.in + sector)]);
    });
    this.#issued.set(id, { request, pending: isPending, sources, issuedAt: this.#step, polledAt: 0 });
    this.world.issue(id, request);
  }

  #poll(): void {
    this.world.poll();
    for (const page of this.#blocked) this.#saves.add(page);
    this.#blocked.clear();
    for (const [id, issued] of this.#issued) {
      if (issued.polledAt === 0 && this.world.statuses.has(id)) issued.polledAt = this.#step;
    }
  }

  /** What is wrong at the end; undefined when all is as it must be. */
  async verdict(): Promise<string | undefined> {
    const { world } = this;
    // What is left to be issued and stored is done first, so that every schedule ends alike.
    while (this.world.standing) {
      await this.take('pump');
      if (this.world.operations.length > 0) await this.take('end 0');
      await this.take('poll');
    }
    while (this.possible().includes('issue')) await this.take('issue');
    for (const step of this.possible()) if (step.startsWith('store')) await this.take(step);
    this.#step += 1;
    await world.drain();
    this.#poll();
    return (
      this.#wrongDisk(await world.diskTags('frozen'), 'checkpoint', issued => issued.pending) ??
      this.#wrongDisk(await world.diskTags('ongoing'), 'machine', () => true) ??
      this.#wrongMemory() ??
      this.#wrongResults()
    );
  }

  /** Values that each sector of the disk may have after the writes that count, in the order of issue. */
  #disk(counts: (issued: Issued) => boolean, until = Number.POSITIVE_INFINITY): Set<number>[] {
    const disk = Array.from({ length: DISK_SECTORS }, (_, sector) => new Set([diskTag(sector)]));
    for (const issued of this.#issued.values()) {
      if (issued.request.kind !== 'write' || issued.issuedAt >= until || !counts(issued)) continue;
      for (const [index, values] of issued.sources.entries()) {
        const sector = issued.request.at + index;
        // Nobody knows how far a write came that failed.
        disk[sector] = this.#failed(issued) ? new Set([...disk[sector]!, ...values]) : values;
      }
    }
    return disk;
  }

  #failed(issued: Issued): boolean {
    for (const [id, one] of this.#issued) if (one === issued) return this.world.statuses.get(id) === 'io-error';
    return false;
  }

  #wrongDisk(found: readonly number[], whose: string, counts: (issued: Issued) => boolean): string | undefined {
    const expected = this.#disk(counts);
    const sector = found.findIndex((tag, at) => !expected[at]!.has(tag));
    return sector < 0 ? undefined : wrong(`${whose}'s disk, sector ${sector}`, found[sector]!, expected[sector]!);
  }

  #wrongMemory(): string | undefined {
    for (let page = 0; page < PAGES; page += 1) {
      for (let sector = 0; sector < SECTORS; sector += 1) {
        const reads = [...this.#issued.values()].filter(({ request: { kind, page: on, in: first, sectors } }) => {
          return kind === 'read' && on === page && sector >= first && sector < first + sectors;
        });
        const captured = this.#after(
          page,
          sector,
          reads.filter(({ pending }) => pending),
          false,
        );
        const saved = this.world.savedTag(page, sector);
        if (!captured.has(saved)) return wrong(`checkpoint's page ${page}, sector ${sector}`, saved, captured);
        const ongoing = this.#after(page, sector, reads, true);
        const now = this.world.load(page, sector);
        if (!ongoing.has(now)) return wrong(`machine's page ${page}, sector ${sector}`, now, ongoing);
      }
    }
    return undefined;
  }

  /** Values that a sector of memory may have after the reads that count, and the stores. */
  #after(page: number, sector: number, reads: readonly Issued[], stores: boolean): Set<number> {
    let values = new Set([memoryTag(page, sector)]);
    for (const read of reads) {
      const { request, issuedAt } = read;
      const before = values;
      values = this.#disk(() => true, issuedAt)[request.at + sector - request.in]!;
      if (this.#failed(read)) values = new Set([...before, ...values]);
    }
    if (!stores) return values;
    for (const [index, at] of this.#stored) {
      const [onPage, onSector] = this.#scenario.stores[index]!;
      if (onPage !== page || onSector !== sector) continue;
      const open = reads.some(({ issuedAt, polledAt }) => at > issuedAt && (polledAt === 0 || at < polledAt));
      const over = reads.some(({ issuedAt }) => issuedAt > at);
      // A store and a read that are under way together may come in either order.
      if (open) values = new Set([...values, storeTag(index)]);
      else if (!over) values = new Set([storeTag(index)]);
    }
    return values;
  }

  #wrongResults(): string | undefined {
    for (const [id, { pending, polledAt }] of this.#issued) {
      const counts = pending && (polledAt === 0 || polledAt > this.#momentAt);
      const status = this.world.results.get(id);
      if (counts !== (status !== undefined)) return `request ${id} has the result ${status}`;
      const ended = this.world.statuses.get(id);
      if (status !== undefined && status !== ended)
        return `request ${id} ended with ${ended} and is recorded as ${status}`;
      if (ended !== 'ok' && !(ended === 'io-error' && this.#scenario.failures))
        return `request ${id} ended with ${ended}`;
    }
    return undefined;
  }
}

function wrong(where: string, found: number, expected: ReadonlySet<number>): string {
  const hex = (value: number) => value.toString(16);
  return `${where} is ${hex(found)}, not ${[...expected].map(hex).join(' or ')}`;
}

/**
 * Every order of steps, or, beyond `most`, so many spread over all of them.
 * @param random below a number
 */
export async function explore(
  stage: Stage,
  scenario: Scenario,
  most: number,
  random: (below: number) => number,
  strategy: PendingStrategy,
  mutant?: Mutant,
): Promise<Exploration> {
  // Choices of the last run, and how many there were at each point.
  let path: { taken: number; of: number }[] = [];
  let schedules = 0;
  for (let sampling = false; schedules < most; ) {
    const run = new Run(await World.create(stage, strategy, mutant), scenario);
    const choices: typeof path = [];
    for (;;) {
      const steps = run.possible();
      if (steps.length === 0) break;
      const at = choices.length;
      const taken = sampling ? random(steps.length) : (path[at]?.taken ?? 0);
      choices.push({ taken, of: steps.length });
      await run.take(steps[taken]!);
    }
    schedules += 1;
    const what = await run.verdict().catch((thrown: Error) => thrown.stack ?? String(thrown));
    await run.world.close();
    if (what !== undefined) return { schedules, problem: { schedule: run.steps, what } };
    path = choices;
    while (path.length > 0 && path.at(-1)!.taken === path.at(-1)!.of - 1) path.pop();
    if (path.length === 0 && !sampling) break;
    if (path.length > 0) path[path.length - 1] = { ...path.at(-1)!, taken: path.at(-1)!.taken + 1 };
    // The first quarter goes through them in order, which differ in their last steps; the rest is spread.
    if (schedules > most / 4) sampling = true;
  }
  return { schedules, problem: undefined };
}
