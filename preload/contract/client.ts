// The bridge with types and errors: what pages work with.
import { AfterimageError } from '../../engine/base/errors.ts';
import type { Answer, Bridge, PlatformFacts } from './afterimage.ts';
import type { AppArguments, AppCallName, AppResult } from './app-calls.ts';
import type { ConsolePort } from './console.ts';
import type { AppEvent } from './events.ts';
import type { ChosenFile, FilePurpose } from './files.ts';
import type { MachineArguments, MachineCallName, MachineResult } from './machine-calls.ts';

type Progress = (done: number, total: number) => void;

/** All failures are AfterimageErrors. */
export interface Afterimage {
  readonly platform: PlatformFacts;
  call<Name extends Exclude<AppCallName, 'machine-call'>>(
    name: Name,
    arguments_: AppArguments<Name>,
  ): Promise<AppResult<Name>>;
  /** Asks a machine's process, which is started for the call when the machine is off. */
  machine<Name extends MachineCallName>(
    machine: string,
    name: Name,
    arguments_: MachineArguments<Name>,
  ): Promise<MachineResult<Name>>;
  onEvent(listener: (event: AppEvent) => void): () => void;
  console(machine: string): Promise<ConsolePort>;
  chooseFile(purpose: FilePurpose, progress?: Progress): Promise<ChosenFile | undefined>;
  droppedFile(file: File, progress?: Progress): Promise<ChosenFile>;
  downloadUrl(machine: string, id: string): string;
}

export function connect(bridge: Bridge): Afterimage {
  return {
    platform: bridge.platform,
    call: async (name, arguments_) => resultOf(await bridge.call(name, arguments_)) as never,
    machine: async (machine, name, arguments_) =>
      resultOf(await bridge.call('machine-call', { machine, name, arguments: arguments_ })) as never,
    onEvent: listener => bridge.onEvent(listener),
    console: machine => bridge.console(machine),
    chooseFile: async (purpose, progress) =>
      resultOf(await bridge.chooseFile(purpose, progress)) as ChosenFile | undefined,
    droppedFile: async (file, progress) => resultOf(await bridge.droppedFile(file, progress)) as ChosenFile,
    downloadUrl: (machine, id) => bridge.downloadUrl(machine, id),
  };
}

function resultOf(answer: Answer): unknown {
  if (answer.ok) return answer.result;
  throw AfterimageError.fromPlain(answer.error);
}
