// All commands on machines of the library.
import type { Command } from 'commander';
import { addCheckpointCommands } from './checkpoint-commands.ts';
import { addConfigureCommand } from './configure-command.ts';
import { addLibraryCommands } from './library-commands.ts';
import type { Ended } from './machine-command.ts';
import { addMachineDiskCommands } from './machine-disk-commands.ts';
import { addMemoryCommands } from './memory-commands.ts';
import { addPowerCommands } from './power-commands.ts';

/** Adds the commands; `ended` is told the exit status. Returns all of them, for the owner to settle error output. */
export function addMachineCommands(program: Command, ended: Ended): Command[] {
  return [
    ...addLibraryCommands(program, ended),
    addConfigureCommand(program, ended),
    ...addPowerCommands(program, ended),
    ...addCheckpointCommands(program, ended),
    ...addMachineDiskCommands(program, ended),
    ...addMemoryCommands(program, ended),
  ];
}
