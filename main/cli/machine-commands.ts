// All commands on machines of the library.
import type { Command } from 'commander';
import { addCheckpointCommands } from './checkpoint-commands.ts';
import { addLibraryCommands } from './library-commands.ts';
import { type Ended, fail, usage } from './machine-command.ts';
import { addMachineDiskCommands } from './machine-disk-commands.ts';
import { addMemoryCommands } from './memory-commands.ts';
import { addPowerCommands } from './power-commands.ts';

/** Adds the commands; `ended` is told the exit status. Returns all of them, for the owner to settle error output. */
export function addMachineCommands(program: Command, ended: Ended): Command[] {
  return [
    ...addLibraryCommands(program, ended),
    ...addPowerCommands(program, ended),
    ...addCheckpointCommands(program, ended),
    ...addMachineDiskCommands(program, ended),
    ...addMemoryCommands(program, ended),
    addServe(program, ended),
  ];
}

interface ServeOptions {
  readonly library?: string;
  readonly port?: number;
  readonly open: boolean;
  readonly allowHost?: readonly string[];
  readonly firstMachine?: true;
}

function addServe(program: Command, ended: Ended): Command {
  return program
    .command('serve')
    .description('show the app in a browser, on this computer only')
    .option('--library <folder>', 'where machines are, instead of the usual place')
    .option('--port <number>', 'where it listens', parsePort)
    .option('--no-open', 'do not open a browser')
    .option('--allow-host <name...>', 'names under which a reverse proxy shows it')
    .option('--first-machine', 'make and start a machine if there is none')
    .allowExcessArguments(false)
    .action(async (options: ServeOptions) => {
      try {
        const { serveCommand } = await import('../serve/serve.ts');
        ended(await serveCommand(options));
      } catch (thrown) {
        ended(fail('serve', undefined, {}, thrown));
      }
    });
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw usage(`'${text}' is no port; give a number up to 65535`);
  return port;
}
