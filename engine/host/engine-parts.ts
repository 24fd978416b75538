// What an engine of a real machine is made of.
import { readFile } from 'node:fs/promises';
import type { EngineDescription } from '../api/messages.ts';
import type { MachineSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import { Core } from '../core/core.ts';
import { EXTENSIONS } from '../core/isa.ts';
import { isaString } from '../firmware/isa-string.ts';
import { machineMemorySize } from '../memory/sizing.ts';
import type { MemoryLayout } from '../memory/tables.ts';
import { openMachineDisk } from './disk-open.ts';
import type { EngineParts, MachineBytes } from './engine-run.ts';
import { HartWorkers } from './hart-workers.ts';
import { codeOf, hostError } from './host-errors.ts';

const CORE = new URL('../core/build/core.wasm', import.meta.url);
/** Pages of a memory32. */
const MOST_WASM_PAGES = 65536;

let core: WebAssembly.Module | undefined;
let layoutOfCore: MemoryLayout | undefined;

/** Compiled once in a process: its code, as far as it has been optimized, is that of the next run too. */
async function loadCore(): Promise<WebAssembly.Module> {
  try {
    core ??= new WebAssembly.Module(await readFile(CORE));
    return core;
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw hostError(thrown, CORE.pathname, 'read');
    throw new AfterimageError('missing', 'The engine is not built; run `npm run build`', {}, { cause: thrown });
  }
}

function createMemory(settings: MachineSettings, coreModule: WebAssembly.Module): MachineBytes {
  try {
    layoutOfCore ??= layoutOf(coreModule);
    const initial = machineMemorySize(settings.memory, layoutOfCore.FRAMES).wasmPages;
    return {
      memory: new WebAssembly.Memory({ initial, maximum: MOST_WASM_PAGES, shared: true }),
      layout: layoutOfCore,
    };
  } catch (thrown) {
    throw new AfterimageError(
      'too-large',
      'The host cannot provide that much memory; give the machine less',
      { memory: settings.memory },
      { cause: thrown },
    );
  }
}

/** The core says itself where its tables and frames are; it needs some memory to be asked. */
function layoutOf(coreModule: WebAssembly.Module): MemoryLayout {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_WASM_PAGES, shared: true });
  return new Core(coreModule, memory, deafHost).layout;
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
  harts: new HartWorkers(new URL('./hart-worker.ts', import.meta.url)),
  describe,
  loadCore,
  createMemory,
  openDisk: openMachineDisk,
};
