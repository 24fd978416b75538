// Every interleaving of C6-C11 on small scenarios, and broken protocols that the same search must find (README).
import { beforeAll, describe, expect, test } from 'vitest';
import { coreModule } from '../../framework/bare-machine.ts';
import { explore, type Scenario } from './explore.ts';
import { MUTANTS, type Mutant, type ProtocolRequest, Stage } from './world.ts';

/** Schedules of one scenario at most; `PROTOCOL_SCHEDULES` for longer searches. */
const MOST = Number(process.env.PROTOCOL_SCHEDULES ?? 800);

const read = (at: number, page: number, first = 0, sectors = 2): ProtocolRequest => {
  return { kind: 'read', at, sectors, page, in: first };
};
const write = (at: number, page: number, first = 0, sectors = 2): ProtocolRequest => {
  return { kind: 'write', at, sectors, page, in: first };
};

/** Sectors 0 to 7 of the disk are one block group. */
const SCENARIOS: readonly Scenario[] = [
  { name: 'a pending read, a store beside it', pending: [read(0, 1)], later: [], stores: [[1, 5]], saves: [1] },
  { name: 'a pending read, a store into it', pending: [read(0, 1)], later: [], stores: [[1, 1]], saves: [1] },
  {
    name: 'a pending and a new read of one page',
    pending: [read(0, 1)],
    later: [read(8, 1, 4)],
    stores: [],
    saves: [1],
  },
  {
    name: 'two pending reads of one page',
    pending: [read(0, 1), read(8, 1, 4)],
    later: [],
    stores: [[1, 7]],
    saves: [1],
  },
  {
    name: 'a new read of a page that is saved at any time',
    pending: [],
    later: [read(0, 1)],
    stores: [[1, 5]],
    saves: [1],
  },
  {
    name: 'a pending write, then a new one of its block group',
    pending: [write(0, 1)],
    later: [write(2, 2)],
    stores: [],
    saves: [],
  },
  {
    name: 'a pending write, then a new one of its sectors',
    pending: [write(0, 1)],
    later: [write(0, 2)],
    stores: [],
    saves: [],
  },
  {
    name: 'a pending write, then a new read of it',
    pending: [write(0, 1)],
    later: [read(0, 2)],
    stores: [],
    saves: [2],
  },
  { name: 'a pending write whose page is stored to', pending: [write(0, 1)], later: [], stores: [[1, 5]], saves: [1] },
  {
    name: 'a pending read, then a pending write of its block',
    pending: [read(0, 1), write(0, 2)],
    later: [],
    stores: [[1, 5]],
    saves: [1],
  },
  {
    name: 'a pending write, then a pending read of its block',
    pending: [write(0, 1), read(0, 2)],
    later: [],
    stores: [[2, 5]],
    saves: [2],
  },
  {
    name: 'a pending read, then a new write of its block',
    pending: [read(0, 1)],
    later: [write(0, 2)],
    stores: [[1, 5]],
    saves: [1],
  },
  {
    name: 'a pending read into the page of a new write',
    pending: [read(0, 1)],
    later: [write(8, 1, 4)],
    stores: [],
    saves: [1],
  },
  { name: 'new requests only', pending: [], later: [write(0, 1), read(0, 2)], stores: [[2, 6]], saves: [1, 2] },
  {
    name: 'a pending write, a new write and a new read of one group',
    pending: [write(0, 1)],
    later: [write(2, 2), read(0, 3, 0, 4)],
    stores: [],
    saves: [],
  },
  {
    name: 'stores to every page, and page 0 saved late',
    pending: [],
    later: [],
    stores: [
      [0, 0],
      [1, 1],
      [2, 2],
    ],
    saves: [0, 1, 2],
  },
  {
    name: 'a pending read that may fail, a store beside it',
    pending: [read(0, 1)],
    later: [],
    stores: [[1, 5]],
    saves: [1],
    failures: true,
  },
  {
    name: 'a pending write and a new one of its group, of which any may fail',
    pending: [write(0, 1)],
    later: [write(2, 2)],
    stores: [],
    saves: [],
    failures: true,
  },
  {
    name: 'a pending write whose frame is wanted for another page',
    pending: [write(0, 1)],
    later: [],
    stores: [
      [1, 5],
      [2, 0],
      [3, 0],
      [0, 0],
    ],
    saves: [1],
  },
];

/** The same every time, and replayable. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

let stage: Stage;
beforeAll(async () => {
  stage = new Stage(await coreModule());
});

const STRATEGIES = ['copy', 'reissue', 'wait'] as const;

describe.each(STRATEGIES)('whatever the order, both sides get what is theirs: %s', strategy => {
  test.each(SCENARIOS)('$name', async scenario => {
    const { schedules, problem } = await explore(stage, scenario, MOST, randomFrom(7), strategy);
    expect(problem).toBeUndefined();
    expect(schedules).toBeGreaterThan(strategy === 'wait' ? 5 : 20);
  });
});

describe('a broken protocol is found', () => {
  test.each(Object.keys(MUTANTS) as Mutant[])('%s', async mutant => {
    let found: string | undefined;
    const strategy = mutant.startsWith('reads are made again') ? 'reissue' : 'copy';
    for (const scenario of SCENARIOS) {
      const { problem } = await explore(stage, scenario, MOST, randomFrom(7), strategy, mutant);
      found = problem?.what;
      if (found !== undefined) break;
    }
    expect(found, MUTANTS[mutant]).toBeDefined();
  });
});
