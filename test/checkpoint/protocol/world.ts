// The two sides of a checkpoint in one thread, so that a test decides which of them does its next step: on the hart's
// side the real core's write barrier, memory manager, pins and request ring, on the other the real disk server, chain of
// layers and the saver's claims. Only the host's file operations are the test's: each ends when it is told to.

import type { PendingStrategy } from '../../../engine/api/checkpoints.ts';
import { guestPhys } from '../../../engine/base/addresses.ts';
import { AfterimageError } from '../../../engine/base/errors.ts';
import { RAM_BASE } from '../../../engine/core/core.ts';
import type { BlockStatus } from '../../../engine/devices/virtio/block/backend.ts';
import type { Layer } from '../../../engine/disk/chain/layer.ts';
import { LiveDisk } from '../../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../../engine/disk/chain/open.ts';
import { createOverlay } from '../../../engine/disk/chain/overlay.ts';
import type { HostFile } from '../../../engine/disk/disk.ts';
import { createDiskBuffers, DiskLink } from '../../../engine/host/disk-link.ts';
import { DiskServer } from '../../../engine/host/disk-server.ts';
import { Doorbell } from '../../../engine/host/doorbell.ts';
import { MachineMemory } from '../../../engine/memory/machine-memory.ts';
import { MemoryManager } from '../../../engine/memory/memory-manager.ts';
import { CLAIM_CLEAN, CLAIM_PINNED, CLAIM_TAKEN, CLAIM_ZERO, HeldPages } from '../../../engine/memory/save-states.ts';
import { MemoryFolder } from '../../disk/memory-folder.ts';
import { BareMachine } from '../../framework/bare-machine.ts';

export const PAGES = 4;
export const SECTOR = 512;
export const SECTORS = 8;
/** Of the disk: four groups of 4 KiB, each with its own subclusters in the overlay. */
export const DISK_SECTORS = 32;
const RAM_PAGES = 13;
/** One for the map and two for copies: the saver is asked for more, and a frame that is free is soon used again. */
const RESERVE_PAGES = 3;
const PAGE = 4096;

/** Ways to break the protocol, each of which some interleaving must show (MUTANTS says which rule). */
export const MUTANTS = {
  'devices write around the barrier': 'C4, C9',
  'pages are saved before their pending read': 'C8',
  'a pending read reaches only one side': 'C10',
  'a fill does not wait for a pending write': 'C7',
  'the disks are switched before the requests before the moment': 'C6',
  'the disks are switched after requests that follow the moment': 'C6',
  'the moment leaves one page unprotected': 'C2, C4',
  'frames that devices read are given away': 'C6',
  'reads are made again behind pending writes': 'C11',
  'reads are made again from the new layer': 'C10',
} as const;
export type Mutant = keyof typeof MUTANTS;

export interface ProtocolRequest {
  readonly kind: 'read' | 'write';
  /** First sector of the disk. */
  readonly at: number;
  readonly sectors: number;
  readonly page: number;
  /** First sector of the page. */
  readonly in: number;
}

interface FileOperation {
  readonly run: () => Promise<void>;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** The value that stands for a sector's content: in its first word. */
export const diskTag = (sector: number): number => 0x1000 + sector;
export const memoryTag = (page: number, sector: number): number => 0x2000 + page * 16 + sector;

/** The core is the same for all schedules; what is above it is made anew. */
export class Stage {
  readonly machine: BareMachine;
  manager: MemoryManager | undefined;

  constructor(module: WebAssembly.Module) {
    this.machine = new BareMachine(module, RAM_PAGES * PAGE, {
      reserveBytes: RESERVE_PAGES * PAGE,
      cowFault: page => this.manager!.fault(page),
    });
  }

  clear(): void {
    const { core } = this.machine;
    const { layout, view } = core;
    const frames = RAM_PAGES + RESERVE_PAGES;
    for (const [table, bytes] of [
      [layout.SAVE_STATE, RAM_PAGES * 4],
      [layout.PAGE_EPOCH, RAM_PAGES * 4],
      [layout.FRAME_STATE, frames],
      [layout.DMA_PINS, frames * 2],
      [layout.MAP_DIRECTORY, 4096],
      [layout.FRAMES, frames * PAGE],
    ] as const) {
      core.bytes.fill(0, table, table + bytes);
    }
    for (const word of [
      layout.HOLDING,
      layout.HOLD_SINCE,
      layout.MAP_COUNT,
      layout.URGENT_PAGE,
      layout.HOLD_ABANDONED,
    ]) {
      view.setUint32(word, 0, true);
    }
    view.setUint32(layout.EPOCH, 1, true);
    core.flushTranslations();
  }
}

export class World {
  readonly #stage: Stage;
  readonly #mutant: Mutant | undefined;
  readonly memory: MachineMemory;
  readonly manager: MemoryManager;
  readonly #link: DiskLink;
  readonly #server: DiskServer;
  readonly #live: LiveDisk;
  readonly #base: Layer;
  readonly #overlay: Layer;
  readonly #held: HeldPages;
  readonly #gate: { closed: boolean };
  readonly #strategy: PendingStrategy;
  /** The machine stands still until the pending requests have ended. */
  #waits = false;
  readonly operations: FileOperation[];
  readonly saved = new Map<number, Uint8Array>();
  readonly statuses = new Map<number, BlockStatus>();
  #marked = true;
  switched = false;

  private constructor(
    stage: Stage,
    strategy: PendingStrategy,
    mutant: Mutant | undefined,
    disks: { live: LiveDisk; base: Layer; overlay: Layer; operations: FileOperation[]; gate: { closed: boolean } },
  ) {
    this.#stage = stage;
    this.#strategy = strategy;
    this.#mutant = mutant;
    this.#live = disks.live;
    this.#base = disks.base;
    this.#overlay = disks.overlay;
    this.operations = disks.operations;
    this.#gate = disks.gate;
    stage.clear();
    const { core } = stage.machine;
    const frames = RAM_PAGES + RESERVE_PAGES;
    const around = mutant === 'devices write around the barrier';
    const unpinned = mutant === 'pages are saved before their pending read';
    this.memory = new MachineMemory({
      bytes: core.bytes,
      frames: around ? { frameOf: page => core.frameOf(page), frameForStore: page => core.frameOf(page) } : core,
      framesAt: core.layout.FRAMES,
      ramAt: guestPhys(RAM_BASE),
      ramSize: RAM_PAGES * PAGE,
      ...(unpinned ? {} : { dmaPins: new Uint16Array(core.bytes.buffer, core.layout.DMA_PINS, frames) }),
    });
    const { memory } = this;
    this.manager = new MemoryManager({
      core,
      pins: {
        isPinned: frame => mutant !== 'frames that devices read are given away' && memory.isPinned(frame),
        follow: (page, from, to) => {
          if (mutant !== 'a pending read reaches only one side') memory.follow(page, from, to);
        },
      },
      now: () => 0,
      saveNow: page => {
        if (!this.save(page)) throw new Error('The hart waits for a page that cannot be saved');
      },
    });
    stage.manager = this.manager;
    this.#held = new HeldPages(this.manager.tables);
    for (let page = 0; page < PAGES; page += 1) {
      for (let sector = 0; sector < SECTORS; sector += 1) this.store(page, sector, memoryTag(page, sector));
    }
    const buffers = createDiskBuffers();
    const hartBell = new Doorbell();
    this.#link = new DiskLink(buffers, new Doorbell(), [{ size: DISK_SECTORS * SECTOR, readonly: false }]);
    this.#server = new DiskServer({
      buffers,
      hartBell,
      disks: [this.#live],
      memory: core.bytes.buffer as SharedArrayBuffer,
      report: () => undefined,
      moment: () => this.#switch(),
    });
  }

  static async create(stage: Stage, strategy: PendingStrategy, mutant?: Mutant): Promise<World> {
    const operations: FileOperation[] = [];
    const gate = { closed: false };
    const folder = new MemoryFolder(file => gated(file, operations, gate));
    const content = new Uint8Array(DISK_SECTORS * SECTOR);
    for (let sector = 0; sector < DISK_SECTORS; sector += 1) tagAt(content, sector * SECTOR, diskTag(sector));
    folder.add('disk.raw', content);
    const opened = await openChain(folder, { path: 'disk.raw', format: 'raw' }, { access: 'write', codecs: undefined });
    const live = new LiveDisk(opened);
    if (mutant === 'reads are made again from the new layer') live.readAtMoment = (at, into) => live.read(at, into);
    // A second opening of the parent knows nothing of what is pending in the first.
    const parent =
      mutant === 'a fill does not wait for a pending write'
        ? await openChain(folder, { path: 'disk.raw', format: 'raw' }, { access: 'read', codecs: undefined })
        : opened;
    const overlay = await createOverlay(parent, 'overlay.qcow2');
    if (parent !== opened) forceBacking(overlay, opened);
    const base = await openChain(folder, { path: 'disk.raw', format: 'raw' }, { access: 'read', codecs: undefined });
    gate.closed = true;
    return new World(stage, strategy, mutant, { live, base, overlay, operations, gate });
  }

  /** A guest's store to the first word of a sector. */
  store(page: number, sector: number, tag: number): void {
    const { core } = this.#stage.machine;
    const frame = core.frameForStore(page);
    core.view.setUint32(core.layout.FRAMES + frame * PAGE + sector * SECTOR, tag, true);
  }

  load(page: number, sector: number): number {
    const { core } = this.#stage.machine;
    return core.view.getUint32(core.layout.FRAMES + core.frameOf(page) * PAGE + sector * SECTOR, true);
  }

  /** As VirtioBlock does it: pin, submit, and at completion unpin. */
  issue(id: number, { kind, at, sectors, page, in: first }: ProtocolRequest): void {
    const purpose = kind === 'read' ? 'device-writes' : 'device-reads';
    const segments = this.memory.pin(guestPhys(RAM_BASE + page * PAGE + first * SECTOR), sectors * SECTOR, purpose)!;
    const request = { id, kind, offset: at * SECTOR, length: sectors * SECTOR, segments } as const;
    this.#link.disks[0]!.submit(request, status => {
      this.memory.unpin(segments);
      this.statuses.set(id, status);
    });
    if (!this.#marked) {
      this.#marked = true;
      this.#beginMoment();
    }
  }

  moment(): void {
    this.manager.hold();
    if (this.#mutant === 'the moment leaves one page unprotected') {
      const { core } = this.#stage.machine;
      core.setPageEpoch(0, core.view.getUint32(core.layout.EPOCH, true));
    }
    if (this.#mutant === 'the disks are switched before the requests before the moment') this.#switch();
    if (this.#mutant === 'the disks are switched after requests that follow the moment') this.#marked = false;
    else this.#beginMoment();
  }

  /** As HartLive does it. */
  #beginMoment(): void {
    const { memory, manager } = this;
    const again = this.#strategy === 'reissue';
    const behind = this.#mutant !== 'reads are made again behind pending writes' && this.#link.readsBeforeWrites;
    this.#waits = this.#strategy === 'wait' || (again && behind);
    this.#link.beginMoment(again ? segments => memory.readAgain(segments, manager) : undefined);
  }

  /** Whether the guest stands still. */
  get standing(): boolean {
    return this.#waits && this.#link.moment.left > 0;
  }

  /** Requests that were pending at the moment, and how those ended that did. */
  get results(): ReadonlyMap<number, BlockStatus> {
    return new Map(this.#link.moment.results.map(({ request, status }) => [request, status]));
  }

  pump(): void {
    this.#server.pump();
  }

  poll(): void {
    this.#link.poll();
  }

  /** Ends a file operation, now with its effect. */
  async complete(index: number, fails = false): Promise<void> {
    const [operation] = this.operations.splice(index, 1);
    if (fails) operation!.failed(new AfterimageError('io', 'The test says so'));
    else {
      await operation!.run();
      operation!.done();
    }
    await this.rest();
  }

  /** Lets everything go on that waits for nothing outside. */
  async rest(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve));
  }

  /** Saves a page if it can be saved now. */
  save(page: number): boolean {
    if (this.saved.has(page)) return true;
    const frame = this.#held.claim(page);
    switch (frame) {
      case CLAIM_PINNED:
        return false;
      case CLAIM_ZERO:
      case CLAIM_CLEAN:
      case CLAIM_TAKEN:
        throw new Error(`Claim of a written page gives ${frame}`);
      default:
        this.saved.set(page, this.manager.tables.frameBytes(frame).slice());
        this.#held.saved(page);
        this.manager.work(0);
        return true;
    }
  }

  /** Nothing may be in flight but what a broken protocol has forgotten. */
  async close(): Promise<void> {
    this.#gate.closed = false;
    for (const { done } of this.operations.splice(0)) done();
    const layers = new Set([this.#overlay, this.#base, ...layersFrom(this.#live.active)]);
    await Promise.allSettled([...layers].map(layer => layer.close()));
  }

  savedTag(page: number, sector: number): number {
    return tagIn(this.saved.get(page)!, sector * SECTOR);
  }

  /** Every request, saving and giving back done. */
  async drain(): Promise<void> {
    if (!this.#marked) {
      this.#marked = true;
      this.#link.beginMoment();
    }
    this.#gate.closed = false;
    for (let round = 0; round < 6; round += 1) {
      this.pump();
      while (this.operations.length > 0) await this.complete(0);
      await this.rest();
      this.poll();
    }
    for (let page = 0; page < PAGES; page += 1) {
      if (!this.save(page)) throw new Error('A page stays pinned with nothing in flight');
    }
    this.manager.release({ mode: 'paused' });
    const problems = this.manager.audit();
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  /** The disk as the checkpoint has it, and as the machine goes on with it. */
  async diskTags(which: 'frozen' | 'ongoing'): Promise<number[]> {
    const bytes = new Uint8Array(DISK_SECTORS * SECTOR);
    await (which === 'frozen' ? this.#base : this.#live).read(0, [bytes]);
    return Array.from({ length: DISK_SECTORS }, (_, sector) => tagIn(bytes, sector * SECTOR));
  }

  #switch(): void {
    this.switched = true;
    if (this.#live.active === this.#overlay) return;
    this.#live.switchTo(this.#overlay).frozen.catch(() => undefined);
  }
}

function gated(file: HostFile, operations: FileOperation[], gate: { readonly closed: boolean }): HostFile {
  const wait = (run: () => Promise<void>): Promise<void> => {
    if (!gate.closed) return run();
    return new Promise((done, failed) => {
      operations.push({ run, done, failed });
    });
  };
  return {
    name: file.name,
    readonly: file.readonly,
    size: () => file.size(),
    read: (at, into) => wait(() => file.read(at, into)),
    write: (at, from) => wait(() => file.write(at, from)),
    flush: () => file.flush(),
    truncate: size => file.truncate(size),
    close: () => file.close(),
  };
}

/** For the mutant whose overlay stands on another opening of its parent: `switchTo` is not to notice. */
function forceBacking(overlay: Layer, backing: Layer): void {
  Object.defineProperty(overlay, 'backing', { get: () => backing });
}

function tagAt(bytes: Uint8Array, at: number, tag: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, tag, true);
}

function tagIn(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
