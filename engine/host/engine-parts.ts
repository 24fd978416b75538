// What an engine of a real machine is made of.
import { readFile } from 'node:fs/promises';
import type { EngineDescription } from '../api/messages.ts';
import type { MachineSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import { Core } from '../core/core.ts';
import { EXTENSIONS } from '../core/isa.ts';
import { isaString } from '../firmware/isa-string.ts';
import { machineMemorySize } from '../memory/sizing.ts';
import { openMachineDisk } from './disk-open.ts';
import type { EngineParts, MachineBytes } from './engine.ts';
import { codeOf, hostError } from './host-errors.ts';

const CORE = new URL('../core/build/core.wasm', import.meta.url);
/** Pages of a memory32. */
const MOST_WASM_PAGES = 65536;

async function loadCore(): Promise<WebAssembly.Module> {
  try {
    return new WebAssembly.Module(await readFile(CORE));
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw hostError(thrown, CORE.pathname, 'read');
    throw new AfterimageError('missing', 'The engine is not built; run `npm run build`', {}, { cause: thrown });
  }
}

function createMemory(settings: MachineSettings, coreModule: WebAssembly.Module): MachineBytes {
  try {
    // The core says itself where frames begin; it needs some memory to be asked.
    const { wasmPages: enough } = machineMemorySize(settings.memory, 0);
    const memory = new WebAssembly.Memory({ initial: enough, maximum: MOST_WASM_PAGES, shared: true });
    const { layout } = new Core(coreModule, memory, deafHost);
    memory.grow(machineMemorySize(settings.memory, layout.FRAMES).wasmPages - enough);
    return { memory, layout };
  } catch (thrown) {
    throw new AfterimageError(
      'too-large',
      'The host cannot provide that much memory; give the machine less',
      { memory: settings.memory },
      { cause: thrown },
    );
  }
}

/** Nothing runs on the core while its layout is read. */
const deafHost = {
  mmioLoad: () => undefined,
  mmioStore: () => false,
  ticks: () => 0,
  sbiCall: () => 0 as const,
  cowFault: () => {},
};

function describe(): EngineDescription {
  return { isa: isaString(EXTENSIONS), privileges: ['m', 's', 'u'], mmu: ['sv39', 'sv48'] };
}

/** The parts of every engine but those of tests. */
export const ENGINE_PARTS: EngineParts = {
  hartWorker: new URL('./hart-worker.ts', import.meta.url),
  describe,
  loadCore,
  createMemory,
  openDisk: openMachineDisk,
};
