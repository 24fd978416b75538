// `afterimage checkpoint`, `tree`, `compare`, `restore`, `clone`, `delete-checkpoint`, `edit-checkpoint`, `export` and
// `import`.
import { lstat, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Command, Option } from 'commander';
import type { CheckpointTreeView, PendingStrategy, TakenCheckpoint } from '../../engine/api/checkpoints.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { printable } from './explain.ts';
import { onInterrupt, showJobs } from './job-progress.ts';
import { made } from './library-commands.ts';
import {
  type CommonOptions,
  checkpointMeant,
  defineCommand,
  type Ended,
  guestFor,
  perform,
  SHORT_IDENTITY,
  usage,
  withMachine,
} from './machine-command.ts';
import { counted, pauseText, shortSize } from './texts.ts';
import { treeLines } from './tree-print.ts';

interface CheckpointOptions extends CommonOptions {
  readonly name?: string;
  readonly note?: string;
  readonly full?: true;
  readonly store?: string;
  readonly pending?: PendingStrategy;
  readonly copyDisks?: true;
}

interface EditOptions extends CommonOptions {
  readonly name?: string;
  readonly note?: string;
  readonly protect?: true;
  readonly unprotect?: true;
  readonly keep?: true;
  readonly store?: string;
}

const ID_HELP = `
ID is the identity of a checkpoint, as many of its first digits as tell it from the
others, its name, 'current' (where the machine is) or 'latest'.
`;

const RESTORE_HELP = `
Without --keep-current a machine that runs has a checkpoint taken of its present state all
the same, an automatic one, which retention may delete; its setting beforeRestore says so.
`;

export function addCheckpointCommands(program: Command, ended: Ended): Command[] {
  const define = (words: string, description: string) => defineCommand(program, words, description);
  const checkpoint = define('checkpoint <name>', 'take a checkpoint of a running machine')
    .option('--name <text>', 'its name')
    .option('--note <text>', 'more about it')
    .option('--full', 'save all of memory, not only what has changed since the one before')
    .option('--store <place>', 'file, ram, or raw:PATH for a preallocated raw file or block device', parseStore)
    .addOption(
      new Option('--pending <strategy>', 'how reads that are under way are settled').choices([
        'copy',
        'reissue',
        'wait',
      ]),
    )
    .option('--copy-disks', 'with its own copy of the disks')
    .action(async (name: string, options: CheckpointOptions) => ended(await take(name, options)));
  const tree = define('tree <name>', 'draw the checkpoints of a machine')
    .option('--verify', 'prove that all of them can be restored and that every file is needed')
    .action(async (name: string, options: CommonOptions & { verify?: true }) => ended(await showTree(name, options)));
  const compare = define('compare <name> <id> <other>', 'tell how much two checkpoints of a machine differ')
    .addHelpText('after', ID_HELP)
    .action(async (name: string, id: string, other: string, options: CommonOptions) =>
      ended(await compareCheckpoints(name, id, other, options)),
    );
  const restore = define('restore <name> <id>', 'put a machine back to a checkpoint, and run it from there')
    .option('--keep-current', 'take a manual checkpoint of the present state first, which stays')
    .option('--paused', 'leave it paused')
    .addHelpText('after', ID_HELP + RESTORE_HELP)
    .action(async (name: string, id: string, options: CommonOptions & { keepCurrent?: true; paused?: true }) =>
      ended(await restoreMachine(name, id, options)),
    );
  const clone = define('clone <name> <id> <new>', 'make a new machine that goes on from a checkpoint')
    .addHelpText('after', ID_HELP)
    .action(async (name: string, id: string, wanted: string, options: CommonOptions) =>
      ended(
        await perform('clone', name, options, async library => {
          const { folder } = await library.find(name);
          const { connection } = await library.open(folder);
          // Kept open, so that the machine's process is there for the copy too.
          using _ = connection;
          return made(await library.clone(folder, await meant(connection, id), wanted));
        }),
      ),
    );
  const remove = define('delete-checkpoint <name> <id>', 'delete a checkpoint; what others need of it is kept')
    .option('--subtree', 'with all that come after it')
    .addHelpText('after', ID_HELP)
    .action(async (name: string, id: string, options: CommonOptions & { subtree?: true }) =>
      ended(await deleteCheckpoint(name, id, options)),
    );
  const edit = define('edit-checkpoint <name> <id>', 'name, annotate, protect or move a checkpoint')
    .option('--name <text>', 'its name')
    .option('--note <text>', 'more about it')
    .option('--protect', 'refuse to delete it')
    .option('--unprotect', 'let it be deleted')
    .option('--keep', 'make an automatic one manual, so that it stays')
    .option('--store <place>', 'move it: file, or raw:PATH', parseStore)
    .addHelpText('after', ID_HELP)
    .action(async (name: string, id: string, options: EditOptions) => ended(await editCheckpoint(name, id, options)));
  const exportTo = define('export <name> <id> <file>', 'write a checkpoint with memory and disks into one file')
    .option('--force', 'replace the file if there is one')
    .addHelpText('after', ID_HELP)
    .action(async (name: string, id: string, file: string, options: CommonOptions & { force?: true }) =>
      ended(await exportCheckpoint(name, id, file, options)),
    );
  const importFrom = define('import <file> [name]', 'make a machine out of an exported checkpoint').action(
    async (file: string, name: string | undefined, options: CommonOptions) =>
      ended(
        await perform('import', name ?? path.basename(file), options, async library =>
          made(await library.import(file, name)),
        ),
      ),
  );
  return [checkpoint, tree, compare, restore, clone, remove, edit, exportTo, importFrom];
}

function take(machine: string, options: CheckpointOptions): Promise<number> {
  return withMachine('checkpoint', machine, options, async connection => {
    const { name, note, full, store, pending, copyDisks } = options;
    const given = Object.entries({ name, note, full, store, pending, copyDisks });
    using _ = onInterrupt(() => void connection.call('cancel-checkpoint', {}).catch(() => {}));
    const taken = await connection.call(
      'checkpoint',
      Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    );
    return { json: { ...taken, parent: taken.parent ?? null }, lines: [takenLine(taken)] };
  });
}

function takenLine({ id, name, pauseMicroseconds, durationMilliseconds, pages, bytes }: TakenCheckpoint): string {
  const facts = [
    `paused for ${pauseText(pauseMicroseconds)}`,
    `${counted(pages, 'page')} in ${(durationMilliseconds / 1000).toFixed(2)} s`,
    shortSize(bytes),
  ];
  return `${id.slice(0, SHORT_IDENTITY)}  ${printable(name)}: ${facts.join(', ')}`;
}

function showTree(machine: string, options: CommonOptions & { verify?: true }): Promise<number> {
  return withMachine('draw the tree of', machine, options, async connection => {
    const view = await connection.call('tree', {});
    const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
    const lines = treeLines(view, Date.now(), columns);
    if (!options.verify) return { json: treeJson(view), lines };
    const verification = await connection.call('verify', { deep: true });
    const { checkpoints, pages, problems } = verification;
    const found = problems.map(({ id, message }) => {
      const subject = id === undefined ? '' : `${id.slice(0, SHORT_IDENTITY)}: `;
      return `PROBLEM  ${subject}${printable(message)}`;
    });
    const all = `${counted(checkpoints, 'checkpoint')} with ${counted(pages, 'page')} verified`;
    const last = problems.length === 0 ? `${all}: all can be restored` : `${all}: ${counted(found.length, 'problem')}`;
    return {
      json: { ...treeJson(view), verification },
      lines: [...lines, ...found, last],
      status: problems.length === 0 ? 0 : 1,
    };
  });
}

function compareCheckpoints(machine: string, id: string, other: string, options: CommonOptions): Promise<number> {
  return withMachine('compare checkpoints of', machine, options, async connection => {
    const from = await meant(connection, id);
    const to = await meant(connection, other);
    using _ = showJobs(connection, 'verify', options);
    const { changedPages, totalPages, disks } = await connection.call('compare', { from, to });
    const ofDisks = disks.map(({ device, changedBytes }) => {
      const text = changedBytes === undefined ? 'only in one of them' : `${shortSize(changedBytes)} differ`;
      return `${device}: ${text}`;
    });
    return {
      json: {
        from,
        to,
        changedPages,
        totalPages,
        disks: disks.map(disk => ({ ...disk, changedBytes: disk.changedBytes ?? null })),
      },
      lines: [`memory: ${counted(changedPages, 'page')} of ${totalPages.toLocaleString('en-US')} differ`, ...ofDisks],
    };
  });
}

/** Fields that are absent are null, so that scripts find them. */
function treeJson({ nodes, current, hiddenBytes }: CheckpointTreeView) {
  return {
    nodes: nodes.map(node => ({ ...node, parent: node.parent ?? null, bytes: node.bytes ?? null })),
    current: current ?? null,
    hiddenBytes,
  };
}

function restoreMachine(machine: string, id: string, options: CommonOptions & { keepCurrent?: true; paused?: true }) {
  return withMachine('restore', machine, options, async (connection, { record }) => {
    const { keepCurrent, paused } = options;
    const restored = await connection.call('restore', {
      id: await meant(connection, id),
      ...(keepCurrent ? { keepCurrent } : {}),
      ...(paused ? { paused } : {}),
      ...(await guestFor(record)),
    });
    const kept = restored.kept === undefined ? '' : `; the state before is ${restored.kept.slice(0, SHORT_IDENTITY)}`;
    const line = `${printable(machine)} goes on from ${restored.id.slice(0, SHORT_IDENTITY)}, after ${Math.round(restored.milliseconds)} ms${kept}`;
    return { json: restored, lines: [line] };
  });
}

function deleteCheckpoint(machine: string, id: string, options: CommonOptions & { subtree?: true }) {
  return withMachine('delete a checkpoint of', machine, options, async connection => {
    const subtree = options.subtree === undefined ? {} : { subtree: true };
    const result = await connection.call('delete-checkpoint', { id: await meant(connection, id), ...subtree });
    return { json: result, lines: [`${counted(result.deleted.length, 'checkpoint')} deleted`] };
  });
}

function editCheckpoint(machine: string, text: string, options: EditOptions): Promise<number> {
  return withMachine('edit a checkpoint of', machine, options, async connection => {
    const { name, note, protect, unprotect, keep, store } = options;
    if (protect && unprotect) throw usage('a checkpoint is either protected or not');
    if ([name, note, protect, unprotect, keep, store].every(value => value === undefined)) {
      throw usage('there is nothing to change; give --name, --note, --protect, --unprotect, --keep or --store');
    }
    const id = await meant(connection, text);
    if (name !== undefined) await connection.call('rename-checkpoint', { id, name });
    if (note !== undefined) await connection.call('annotate-checkpoint', { id, note });
    if (protect || unprotect) await connection.call('protect-checkpoint', { id, protected: protect === true });
    if (keep) await connection.call('keep-checkpoint', { id });
    if (store !== undefined) await connection.call('persist-checkpoint', { id, store });
    const { nodes } = await connection.call('tree', {});
    return { json: nodes.find(node => node.id === id) ?? { id }, lines: [] };
  });
}

function exportCheckpoint(machine: string, id: string, file: string, options: CommonOptions & { force?: true }) {
  return withMachine('export', machine, options, async connection => {
    // The process has another working directory.
    const to = path.resolve(file);
    await checkTarget(to, options.force === true);
    using _ = showJobs(connection, 'export', options);
    const { bytes } = await connection.call('export', { id: await meant(connection, id), file: to });
    return { json: { file: to, bytes }, lines: [`${printable(file)} has ${shortSize(bytes)}`] };
  });
}

/** Errors: `missing` without the folder, `state` when there is something of that name. */
async function checkTarget(file: string, force: boolean): Promise<void> {
  const folder = path.dirname(file);
  try {
    if (!(await stat(folder)).isDirectory()) throw new AfterimageError('missing', 'It is no folder', { path: folder });
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw hostError(thrown, folder, 'look at');
    throw new AfterimageError('missing', 'The folder does not exist', { path: folder });
  }
  if (force) return;
  try {
    await lstat(file);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return;
    throw hostError(thrown, file, 'look at');
  }
  throw new AfterimageError('state', 'There is a file of that name; say --force to replace it', { path: file });
}

async function meant(connection: MachineConnection, text: string): Promise<string> {
  return checkpointMeant(await connection.call('tree', {}), text);
}

function parseStore(text: string): string {
  if (text === 'file' || text === 'ram') return text;
  if (!text.startsWith('raw:') || text === 'raw:')
    throw usage(`'${text}' is no store; there are file, ram and raw:PATH`);
  return `raw:${path.resolve(text.slice('raw:'.length))}`;
}
