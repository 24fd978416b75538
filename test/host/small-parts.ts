// What an engine with a small machine in it is made of.
import type { Disk, HostFile } from '../../engine/disk/disk.ts';
import type { EngineParts } from '../../engine/host/engine-run.ts';
import { HartWorkers } from '../../engine/host/hart-workers.ts';
import { openHostFile } from '../../engine/host/node-file.ts';

class FileDisk implements Disk {
  readonly size = 1 << 20;
  readonly readonly: boolean;
  readonly #file: HostFile;

  constructor(file: HostFile, readonly: boolean) {
    this.#file = file;
    this.readonly = readonly;
  }

  read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    return this.#file.read(offset, into);
  }

  write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#file.write(offset, from);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  async discard(): Promise<void> {}

  async writeZeroes(): Promise<void> {}

  close(): Promise<void> {
    return this.#file.close();
  }
}

export const SMALL_PARTS: EngineParts = {
  harts: new HartWorkers(new URL('./small-hart-worker.ts', import.meta.url)),
  describe: () => ({ isa: 'rv64i', privileges: ['m'], mmu: [] }),
  // The smallest module that there is: magic and version.
  loadCore: async () => new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)),
  createMemory: () => ({
    memory: new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true }),
    layout: undefined,
  }),
  openDisk: async ({ path, readonly, temporary }) =>
    new FileDisk(await openHostFile(path, { readonly: readonly || temporary }), readonly),
};
