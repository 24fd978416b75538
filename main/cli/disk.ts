// `afterimage disk`: images and chains on the command line, in the manner of qemu-img.
import type { Command } from 'commander';
import type { DiskCommand, DiskFormat, DiskResult, ImageOptions } from '../../engine/api/disk.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { runDisk } from './disk-client.ts';
import {
  formatOf,
  parseBitmapAction,
  parseCount,
  parseDiskSize,
  parseFormat,
  parseImageOptions,
  parseSize,
  parseSizeChange,
} from './disk-options.ts';
import { resultLines } from './disk-print.ts';
import { explain, printable } from './explain.ts';
import { STATUS } from './result.ts';

const HELP = `
Formats are never guessed from content, which a guest may have written: a file is
qcow2 if its name ends in .qcow2 or --format says so, and raw otherwise. Backing
files have the format that the image above them records, and must be named by a
relative path that stays in that image's folder.

A machine that uses an image has it locked; nothing here changes it meanwhile.

Exit status: 0; 1 when it failed; 2 for bad arguments; of check 2 for corruptions
and 3 for leaked clusters.
`;

const BITMAP_HELP = `
ACTION is list, add, clear (the point is now), remove or map (the ranges written to).
A bitmap survives power-off. After a crash it may have missed writes: list says so,
map refuses, and a backup must take everything; clear starts it anew.
`;

const IMAGE_HELP =
  'cluster_size=64K, extended_l2=on, compat=0.10|1.1, refcount_bits=16, lazy_refcounts=on, ' +
  'preallocation=off|metadata|falloc|full, compression_type=zlib|zstd';

interface Common {
  readonly json?: true;
  readonly format?: DiskFormat;
  readonly backingFormat?: DiskFormat;
}

/** Adds the commands; `ended` is told the exit status. Returns all of them, for the owner to settle error output. */
export function addDisk(program: Command, ended: (status: number) => void): Command[] {
  const disk = program.command('disk').description('create, inspect and change disk images');
  disk.helpCommand('help [command]', 'print help for a command');
  disk.enablePositionalOptions().addHelpText('after', HELP);
  const define = (name: string, description: string, words: string): Command =>
    disk
      .command(`${name} ${words}`)
      .description(description)
      .option('-f, --format <format>', 'raw or qcow2', parseFormat)
      .option('--backing-format <format>', 'of backing files whose format no image records', parseFormat)
      .option('--json', 'print the result as JSON')
      .allowExcessArguments(false);
  const finish = async (command: DiskCommand, options: Common) => ended(await perform(command, options));
  const on = (file: string, { format, backingFormat }: Common) => ({
    file,
    format: formatOf(file, format),
    ...(backingFormat === undefined ? {} : { backingFormat }),
  });

  define('create', 'create an image', '<file> [size]')
    .option('-b, --backing <file>', 'stand on this image; the size is its size unless given')
    .option('-o, --options <list>', IMAGE_HELP, parseImageOptions)
    .action(
      (file: string, size: string | undefined, options: Common & { backing?: string; options?: ImageOptions }) => {
        const backing = options.backing && backingOf(options.backing, options.backingFormat);
        return finish(
          {
            kind: 'create',
            file,
            format: formatOf(file, options.format),
            options: options.options ?? {},
            ...(size === undefined ? {} : { size: parseDiskSize(size) }),
            ...(backing ? { backing } : {}),
          },
          options,
        );
      },
    );
  define('info', 'say what an image is', '<file>')
    .option('--backing-chain', 'with all that it stands on')
    .action((file: string, options: Common & { backingChain?: true }) =>
      finish({ kind: 'info', ...on(file, options), backingChain: options.backingChain === true }, options),
    );
  define('check', 'look for damage', '<file>')
    .option('--repair', 'and mend what can be mended; what points nowhere is left alone, and fails to be read')
    .option('--give-up-lost', 'with --repair: what points nowhere reads as zeroes from now on')
    .action((file: string, options: Common & { repair?: true; giveUpLost?: true }) => {
      if (options.giveUpLost && !options.repair) throw usage('--give-up-lost is for --repair');
      const how = { repair: options.repair === true, ...(options.giveUpLost ? { giveUpLost: true } : {}) };
      return finish({ kind: 'check', ...on(file, options), ...how }, options);
    });
  define('map', 'say which layer has what', '<file>').action((file: string, options: Common) =>
    finish({ kind: 'map', ...on(file, options) }, options),
  );
  define('convert', 'copy a disk into a new image', '<file> <to>')
    .option('-O, --to-format <format>', 'raw or qcow2', parseFormat)
    .option('-c, --compress', 'compress clusters')
    .option('-o, --options <list>', IMAGE_HELP, parseImageOptions)
    .action(
      (
        file: string,
        to: string,
        options: Common & { toFormat?: DiskFormat; compress?: true; options?: ImageOptions },
      ) => {
        const toFormat = formatOf(to, options.toFormat);
        if (options.compress && toFormat === 'raw') throw usage('a raw disk cannot be compressed');
        const rest = { compress: options.compress === true, options: options.options ?? {} };
        return finish({ kind: 'convert', ...on(file, options), to, toFormat, ...rest }, options);
      },
    );
  define('compact', 'write an image anew without what it does not need', '<file>')
    .option('-c, --compress', 'compress clusters')
    .action((file: string, options: Common & { compress?: true }) =>
      finish({ kind: 'compact', ...on(file, options), compress: options.compress === true }, options),
    );
  define('resize', 'change the size of a disk', '<file> <size>')
    .option('--shrink', 'drop the end of the disk')
    .option('--force', 'also when other images stand on it')
    .addHelpText('after', '\nThe size is such as 20G, or +1G to add; to take away, -- -512M with --shrink.\n')
    .action((file: string, size: string, options: Common & { shrink?: true; force?: true }) => {
      const how = { shrink: options.shrink === true, force: options.force === true };
      return finish({ kind: 'resize', ...on(file, options), ...parseSizeChange(size), ...how }, options);
    });
  define('rebase', 'put an image onto another one', '<file>')
    .option('-b, --backing <file>', 'the new backing file; none if not given')
    .option('-u, --unsafe', 'change the name only, for a backing file that was moved')
    .option('--force', 'with --unsafe: also when other images stand on it')
    .action((file: string, options: Common & { backing?: string; unsafe?: true; force?: true }) => {
      const backing = options.backing === undefined ? undefined : backingOf(options.backing, options.backingFormat);
      const how = { unsafe: options.unsafe === true, force: options.force === true };
      return finish({ kind: 'rebase', ...on(file, options), backing, ...how }, options);
    });
  define('commit', 'write an image into its backing file, and empty it', '<file>')
    .option('-d, --delete', 'delete it instead')
    .option('--force', 'also when other images stand on the backing file, and are lost with it')
    .action((file: string, options: Common & { delete?: true; force?: true }) => {
      const how = { remove: options.delete === true, force: options.force === true };
      return finish({ kind: 'commit', ...on(file, options), ...how }, options);
    });
  define('stream', 'copy into an image what it takes from below', '<file>')
    .option('--base <file>', 'and put it onto this image of its chain')
    .action((file: string, options: Common & { base?: string }) =>
      finish(
        { kind: 'stream', ...on(file, options), ...(options.base === undefined ? {} : { base: options.base }) },
        options,
      ),
    );
  define('jobs', 'list the jobs on a chain that a crash has interrupted', '<file>')
    .option('--resume', 'and bring them to their end')
    .action((file: string, options: Common & { resume?: true }) =>
      finish({ kind: 'jobs', ...on(file, options), resume: options.resume === true }, options),
    );
  define('bitmap', 'dirty bitmaps: what was written since a named point', '<action> <file> [name]')
    .option('-g, --granularity <size>', 'of a new one: bytes of disk to a bit; 64K unless given', parseSize)
    .addHelpText('after', BITMAP_HELP)
    .action((action: string, file: string, name: string | undefined, options: Common & { granularity?: number }) =>
      finish({ kind: 'bitmap', ...on(file, options), ...parseBitmapAction(action, name, options) }, options),
    );
  define('bench', 'measure requests on a disk', '<file>')
    .option('-c, --count <number>', 'requests', parseCount, 75_000)
    .option('-d, --depth <number>', 'requests in flight', parseCount, 64)
    .option('-s, --size <bytes>', 'bytes of a request', parseDiskSize, 4096)
    .option('-w, --write', 'write, which destroys what is on the disk')
    .option('-r, --random', 'at random places')
    .action(
      (file: string, options: Common & { count: number; depth: number; size: number; write?: true; random?: true }) => {
        const { count, depth, size: requestBytes } = options;
        const shape = { count, depth, requestBytes, write: options.write === true, random: options.random === true };
        return finish({ kind: 'bench', ...on(file, options), ...shape }, options);
      },
    );
  return [disk, ...disk.commands];
}

function backingOf(name: string, format: DiskFormat | undefined) {
  return { name, format: formatOf(name, format) };
}

async function perform(command: DiskCommand, options: Common): Promise<number> {
  const progress = new ProgressLine();
  try {
    const result = await runDisk(command, (done, total) => progress.show(done, total));
    progress.clear();
    const lines = options.json ? [JSON.stringify(result, null, 2)] : resultLines(result);
    for (const line of lines) process.stdout.write(`${line}\n`);
    return statusOf(result);
  } catch (thrown) {
    progress.clear();
    const error = AfterimageError.from(thrown).toPlain();
    const { path, file, backing, overlays } = error.context;
    const name = backing === undefined ? '' : ` (${printable(String(backing))})`;
    const advice = overlays === undefined ? '' : '; --force does it all the same';
    process.stderr.write(
      `afterimage: ${explain({ ...error, context: { ...error.context, path: path ?? file } })}${name}${advice}\n`,
    );
    if (options.json) process.stdout.write(`${JSON.stringify({ kind: 'failed', error })}\n`);
    return error.kind === 'usage' ? STATUS.usage : 1;
  }
}

function statusOf(result: DiskResult): number {
  if (result.kind !== 'check') return STATUS.ok;
  if (result.corruptions > 0) return 2;
  return result.leaks > 0 ? 3 : STATUS.ok;
}

/** Percent done, on a terminal only. */
class ProgressLine {
  #shown = false;

  show(done: number, total: number): void {
    if (!process.stderr.isTTY) return;
    this.#shown = true;
    process.stderr.write(`\r${((100 * done) / Math.max(1, total)).toFixed(1)} % `);
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[K');
  }
}

function usage(message: string): AfterimageError {
  return new AfterimageError('usage', message);
}
