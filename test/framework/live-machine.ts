// A whole engine in this process, its hart on a worker as ever, with a machine's folder beside it: for tests and
// benchmarks of live checkpoints.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, inflateRawSync, zstdCompress, zstdDecompressSync } from 'node:zlib';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { TakenCheckpoint } from '../../engine/api/checkpoints.ts';
import type { Command, EngineEvent } from '../../engine/api/messages.ts';
import type { DiskSettings, MachineSettings } from '../../engine/api/settings.ts';
import type { BlockCodecs } from '../../engine/checkpoint/codecs.ts';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import type { Folder } from '../../engine/checkpoint/folder.ts';
import { MemoryStore } from '../../engine/checkpoint/memory-store.ts';
import { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { Engine } from '../../engine/host/engine.ts';
import { ENGINE_PARTS } from '../../engine/host/engine-parts.ts';
import type { EngineParts, MachineBytes } from '../../engine/host/engine-run.ts';
import type { LayerSource, TakeRequest } from '../../engine/host/live-checkpoint.ts';
import type { ParentLink } from '../../engine/host/parent-link.ts';
import type { Resume } from '../../engine/host/resume.ts';
import { MemoryTables } from '../../engine/memory/tables.ts';
import { nodeFolder } from '../checkpoint/node-folder.ts';

const compress = promisify(zstdCompress);

export const zstdCodecs: BlockCodecs = {
  compress: {
    codec: 'zstd',
    when: 'backlogged',
    run: bytes => compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  },
  unzstd: (bytes, limit) => zstdDecompressSync(bytes, { maxOutputLength: limit }),
  inflate: (bytes, limit) => inflateRawSync(bytes, { maxOutputLength: limit }),
};

/** The parent's end of an engine in the same process. */
class NearLink implements ParentLink {
  readonly events: EngineEvent[] = [];
  #handlers: { command(command: Command): void; gone(): void } | undefined;
  readonly #listeners = new Set<() => void>();
  output = '';
  /** A job has made another layer the active one. */
  activated: (disk: number, file: string) => void = () => undefined;

  send(event: EngineEvent): void {
    if (event.kind === 'console-output') {
      this.output += Buffer.from(event.bytes).toString('latin1');
      queueMicrotask(() => this.command({ kind: 'console-taken', count: event.bytes.length }));
    } else this.events.push(event);
    if (event.kind === 'disk-active') {
      this.activated(event.disk, event.file);
      queueMicrotask(() => this.command({ kind: 'disk-recorded', disk: event.disk }));
    }
    for (const listener of this.#listeners) listener();
  }

  listen(handlers: { command(command: Command): void; gone(): void }): void {
    this.#handlers = handlers;
  }

  async flushed(): Promise<void> {}

  command(command: Command): void {
    this.#handlers?.command(command);
  }

  /** Waits until something is the case, looking at each event. */
  async until(what: string, fact: () => boolean, seconds = 60): Promise<void> {
    if (fact()) return;
    await new Promise<void>((resolve, reject) => {
      const done = (end: () => void) => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        end();
      };
      const look = () => {
        const failed = this.events.find(event => event.kind === 'failed');
        if (fact()) done(resolve);
        else if (failed !== undefined) done(() => reject(new Error(`${what}: ${JSON.stringify(failed)}`)));
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`${what} did not come:\n${this.output.slice(-500)}`))),
        seconds * 1000,
      );
      this.#listeners.add(look);
    });
  }
}

export interface LiveMachineOptions {
  readonly folder: string;
  /** Bytes. */
  readonly memory?: number;
  readonly disks?: readonly DiskSettings[];
  readonly boot?: MachineSettings['boot'];
  readonly parts?: Partial<EngineParts>;
  readonly codecs?: BlockCodecs;
  /** Around the folder of checkpoints. */
  readonly wrap?: (folder: Folder) => Folder;
}

/** A running machine with a tree of checkpoints. */
export class LiveMachine {
  readonly link = new NearLink();
  readonly engine: Engine;
  readonly tree: CheckpointTree;
  readonly #layers: LayerSource;
  #bytes: MachineBytes | undefined;
  #overlays = 0;
  #marks = 0;
  /** As the machine's folder would record it. */
  readonly active: string[];

  private constructor(tree: CheckpointTree, options: LiveMachineOptions) {
    this.tree = tree;
    this.engine = new Engine(this.link, {
      ...ENGINE_PARTS,
      createMemory: (settings, core) => {
        this.#bytes = ENGINE_PARTS.createMemory(settings, core);
        return this.#bytes;
      },
      ...options.parts,
    });
    this.link.activated = (disk, file) => {
      this.active[disk] = path.basename(file);
    };
    this.active = (options.disks ?? []).map(disk => path.basename(disk.path));
    this.#layers = {
      fresh: async disk => `layer${disk}-${(this.#overlays++).toString()}.qcow2`,
      record: async active => {
        for (const { disk, file } of active) this.active[disk] = file;
      },
      inMachine: (_disk, layer) => layer,
      isTemporary: () => false,
    };
  }

  static async start(options: LiveMachineOptions): Promise<LiveMachine> {
    mkdirSync(path.join(options.folder, 'checkpoints'), { recursive: true });
    const plain = nodeFolder(path.join(options.folder, 'checkpoints'));
    const folder = options.wrap?.(plain) ?? plain;
    const tree = await CheckpointTree.open({
      folder,
      stores: new Map<string, FileStore | MemoryStore>([
        ['file', new FileStore(folder)],
        ['ram', new MemoryStore()],
      ]),
      machine: 'aa'.repeat(16),
      codecs: options.codecs ?? zstdCodecs,
      random: count => crypto.getRandomValues(new Uint8Array(count)),
    });
    const live = new LiveMachine(tree, options);
    const guest = options.boot === undefined ? await ensureGuest() : undefined;
    const boot = options.boot ?? { kernel: guest!.kernel, initrd: guest!.initrd };
    const settings = { memory: options.memory ?? 256 * 2 ** 20, boot, disks: options.disks ?? [] };
    live.link.command({ kind: 'start', settings });
    await live.link.until('the start', () => live.link.events.some(event => event.kind === 'started'));
    return live;
  }

  /** How many of a checkpoint's pages are not as guest memory is now, and one of them. */
  async differences(id: string): Promise<{ readonly count: number; readonly first: number | undefined }> {
    const tables = new MemoryTables(new Uint8Array(this.#bytes!.memory.buffer), this.#bytes!.layout!);
    const reader = await this.tree.open(id);
    const buffers = Array.from({ length: 64 }, () => new Uint8Array(4096));
    let count = 0;
    let first: number | undefined;
    try {
      for (let page = 0; page < tables.ramPages; page += 64) {
        const pages = buffers.map((_, index) => page + index);
        await reader.readPages(0, pages, buffers);
        for (const [index, bytes] of buffers.entries()) {
          if (Buffer.compare(bytes, tables.frameBytes(tables.frameOf(page + index))) === 0) continue;
          count += 1;
          first ??= page + index;
        }
      }
    } finally {
      await reader.close();
    }
    return { count, first };
  }

  /** Goes on from a checkpoint of another machine's tree, as an engine of its own. */
  static async restore(
    from: LiveMachine,
    id: string,
    options: LiveMachineOptions & { readonly bring?: Resume['bring'] },
  ): Promise<LiveMachine> {
    const live = new LiveMachine(from.tree, options);
    const boot = options.boot ?? { kernel: '/nowhere/kernel' };
    const settings = { memory: options.memory ?? 256 * 2 ** 20, boot, disks: options.disks ?? [] };
    const reader = await from.tree.open(id);
    const { durable } = from.tree.node(id);
    const bring = options.bring ?? 'all';
    live.engine.restore(settings, { reader, from: { tree: from.tree, durable }, bring });
    await live.link.until('the restore', () => live.link.events.some(event => event.kind === 'started'));
    return live;
  }

  type(text: string): void {
    this.link.command({ kind: 'console-input', bytes: Buffer.from(text) });
  }

  /** Waits for the default guest's prompt. */
  async prompt(): Promise<void> {
    await this.link.until('the prompt', () => this.link.output.includes('afterimage:~# '));
  }

  /** Runs a command at the guest's shell; what it printed. */
  async run(command: string, seconds = 60): Promise<string> {
    const mark = `m${++this.#marks}`;
    const from = this.link.output.length;
    this.type(`${command}; echo "<${mark}""-$?>"\n`);
    const end = new RegExp(`<${mark}-(\\d+)>`);
    await this.link.until(command, () => end.test(this.link.output.slice(from)), seconds);
    const printed = this.link.output.slice(from);
    const begin = printed.indexOf('\n') + 1;
    return printed.slice(begin, printed.search(end)).replaceAll('\r', '');
  }

  take(change: Partial<TakeRequest> = {}): Promise<TakenCheckpoint> {
    return this.engine.checkpoint({
      tree: this.tree,
      store: 'file',
      full: false,
      about: { name: 'test', note: '', origin: 'manual', machine: '{}', writer: 'test' },
      pending: 'copy',
      layers: this.#layers,
      onProgress: () => undefined,
      signal: new AbortController().signal,
      ...change,
    });
  }

  async stop(): Promise<void> {
    this.link.command({ kind: 'stop' });
    await this.engine.finished;
  }
}
