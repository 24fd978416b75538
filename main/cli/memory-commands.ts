// `afterimage memory`, `virtualize`, `devirtualize`, `share` and `scatter`.
import { type Command, Option } from 'commander';
import type { MachineRecord } from '../../engine/api/machine.ts';
import type { DevirtualizeArguments, MemoryView, PageRangeArgument } from '../../engine/api/memory.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { parseSize } from './disk-options.ts';
import { type CommonOptions, defineCommand, type Ended, type Outcome, usage, withMachine } from './machine-command.ts';
import { memoryLines, PICTURE_GROUPS } from './memory-print.ts';

interface RangeOptions extends CommonOptions {
  readonly range?: PageRangeArgument;
}

const PAGE = 4096;
/** Moving pages goes on beside the guest. */
const LOOK_MILLISECONDS = 50;

const RANGE_HELP = `
A range is FIRST+COUNT in pages of 4096 bytes from the start of RAM, such as 0+1024, or
with sizes: 64M+16M.
`;

export function addMemoryCommands(program: Command, ended: Ended): Command[] {
  const define = (words: string, description: string) =>
    defineCommand(program, words, description)
      .option('--range <first+count>', 'only these pages', parseRange)
      .addHelpText('after', RANGE_HELP);
  const memory = define('memory <name>', 'show where the memory of a running machine is').action(
    async (name: string, options: RangeOptions) =>
      ended(
        await withMachine('show the memory of', name, options, async (connection, { record }) => {
          checkRange(options, record);
          return shown(await connection.call('memory', { ...rangeOf(options), groups: PICTURE_GROUPS }));
        }),
      ),
  );
  const virtualize = define('virtualize <name>', 'put a P→M map below the memory of a running machine').action(
    async (name: string, options: RangeOptions) =>
      ended(await change('virtualize', name, options, connection => connection.call('virtualize', rangeOf(options)))),
  );
  const devirtualize = define('devirtualize <name>', 'bring every page back to its own frame, and drop the map')
    .addOption(new Option('--mode <mode>', 'beside the guest, or all at once').choices(['concurrent', 'paused']))
    .addOption(
      new Option('--reverse <way>', "how a frame's users are found").choices(['backmap', 'refcount', 'search']),
    )
    .action(async (name: string, options: RangeOptions & Pick<DevirtualizeArguments, 'mode' | 'reverse'>) => {
      const { mode, reverse } = options;
      const how = { ...(mode === undefined ? {} : { mode }), ...(reverse === undefined ? {} : { reverse }) };
      ended(
        await change('devirtualize', name, options, connection =>
          connection.call('devirtualize', { ...rangeOf(options), ...how }),
        ),
      );
    });
  const share = defineCommand(program, 'share <name>', 'let identical pages share frames').action(
    async (name: string, options: CommonOptions) =>
      ended(await change('share the memory of', name, options, connection => connection.call('share', {}))),
  );
  const scatter = define('scatter <name>', 'move pages to random frames, to see that nobody minds')
    .option('--seed <number>', 'for the same order again', parseSeed)
    .action(async (name: string, options: RangeOptions & { readonly seed?: number }) => {
      const seed = options.seed === undefined ? {} : { seed: options.seed };
      ended(
        await change('scatter the memory of', name, options, connection =>
          connection.call('scatter', { ...rangeOf(options), ...seed }),
        ),
      );
    });
  return [memory, virtualize, devirtualize, share, scatter];
}

/** Does something to memory, waits until it is done, and shows what memory is like then. */
function change(
  what: string,
  name: string,
  options: RangeOptions,
  work: (connection: MachineConnection) => Promise<unknown>,
): Promise<number> {
  return withMachine(what, name, options, async (connection, { record }) => {
    checkRange(options, record);
    await work(connection);
    for (;;) {
      const view = await connection.call('memory', { groups: PICTURE_GROUPS });
      if (!view.busy) return shown(view);
      await new Promise(resolve => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  });
}

function shown(view: MemoryView): Outcome {
  // The picture is for people; scripts ask for a range and a group of one.
  return { json: { ...view, pages: Buffer.from(view.pages).toString('base64') }, lines: memoryLines(view) };
}

/** Before the machine's process is asked, which knows ranges as numbers only. */
function checkRange({ range }: RangeOptions, { memory }: MachineRecord): void {
  const pages = memory / PAGE;
  if (range === undefined || range.first + range.count <= pages) return;
  throw usage(`the range ends with page ${range.first + range.count - 1}; the machine has ${pages} pages, from 0 on`);
}

function rangeOf({ range }: RangeOptions): { range?: PageRangeArgument } {
  return range === undefined ? {} : { range };
}

function parseRange(text: string): PageRangeArgument {
  const parts = text.split('+');
  const [first, count] = parts.map(parsePages);
  if (parts.length !== 2 || first === undefined || count === undefined || count === 0) {
    throw usage(`'${text}' is no range of pages; give FIRST+COUNT, such as 0+1024 or 64M+16M`);
  }
  return { first, count };
}

function parsePages(text: string): number | undefined {
  if (/^\d+$|^0x[0-9a-f]+$/i.test(text)) return Number(text);
  if (!/[KMG]/i.test(text)) return undefined;
  const bytes = parseSize(text);
  return bytes % PAGE === 0 ? bytes / PAGE : undefined;
}

function parseSeed(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw usage(`'${text}' is no seed; give a whole number`);
  return Number(text);
}
