// A made-up machine that answers the calls of the machine's views, for pages without a host.
import type { CheckpointDetails, CheckpointNode, ScreenText } from '../../../engine/api/checkpoints.ts';
import type { AllocatedRange, DiskView, JobPreview, JobView, LayerView } from '../../../engine/api/control.ts';
import { type MachineRecord, type MachineStatus, USUAL_AUTOMATIC } from '../../../engine/api/machine.ts';
import { type MemoryView, PAGE_BITS, type PageBit } from '../../../engine/api/memory.ts';
import { GIB, MIB } from '../../../engine/api/settings.ts';
import { AfterimageError, type PlainError } from '../../../engine/base/errors.ts';
import type { MachineEvent } from '../../../preload/contract/events.ts';
import { Random } from '../../contract/random.ts';
import { checkpointsOf, NOW } from './trees.ts';

export const MACHINE = '0123456789abcdef0123456789abcdef';
const PAGES = (512 * MIB) / 4096;

export interface MachineScript {
  readonly checkpoints: number;
  readonly seed?: number;
  readonly forks?: number;
  readonly state?: MachineStatus['state'];
}

export class ScriptedMachine {
  readonly record: MachineRecord;
  status: MachineStatus;
  nodes: CheckpointNode[];
  jobs: JobView[] = [];
  /** Every call that changes something, for tests. */
  readonly calls: { readonly name: string; readonly arguments: unknown }[] = [];
  /** How often each of the others was asked. */
  readonly reads = new Map<string, number>();
  /** Calls of these names fail with this error, until it is taken out. */
  readonly failures = new Map<string, PlainError>();
  readonly #script: MachineScript;
  readonly #emit: (event: MachineEvent) => void;
  #virtualized = true;

  constructor(script: MachineScript, emit: (event: MachineEvent) => void) {
    this.#script = script;
    this.#emit = emit;
    this.record = {
      id: MACHINE,
      name: 'build server',
      createdAt: NOW - 9e8,
      memory: PAGES * 4096,
      boot: { kind: 'guest' },
      disks: [],
      automatic: USUAL_AUTOMATIC,
    };
    this.nodes = checkpointsOf(script.checkpoints, script.seed ?? 12, { forks: script.forks ?? 0.13 });
    const last = this.nodes.at(-1);
    this.status = {
      state: script.state ?? 'running',
      pid: 4711,
      startedAt: NOW - 3.7e6,
      ...(last && { position: last.id }),
    };
  }

  announce(change: Partial<MachineStatus>): void {
    this.status = { ...this.status, ...change };
    this.#emit({ event: 'status', status: this.status });
  }

  /** Other checkpoints, which nobody is told of. */
  setCheckpoints(count: number): void {
    this.nodes = checkpointsOf(count, this.#script.seed ?? 12, { forks: this.#script.forks ?? 0.13 });
    const last = this.nodes.at(-1);
    this.status = { ...this.status, ...(last && { position: last.id }) };
  }

  /** As if a job had made another layer of the first disk the active one. */
  switchLayer(active: string): void {
    this.disks = this.disks.map(disk => (disk.disk === 0 ? { ...disk, active } : disk));
    this.#emit({ event: 'disks' });
  }

  /** As if a job had removed a layer. */
  dropLayer(path: string): void {
    this.disks = this.disks.map(disk => ({ ...disk, layers: disk.layers.filter(layer => layer.path !== path) }));
    this.#emit({ event: 'disks' });
  }

  announceTree(): void {
    this.#emit({ event: 'tree' });
  }

  call(name: string, given: unknown): unknown {
    const failure = this.failures.get(name);
    if (failure !== undefined) throw AfterimageError.fromPlain(failure);
    const answer = this.#answers[name];
    if (answer === undefined) throw new AfterimageError('usage', `No such call: ${name}`);
    if (READING.has(name)) this.reads.set(name, (this.reads.get(name) ?? 0) + 1);
    else this.calls.push({ name, arguments: given });
    return answer(given as Given);
  }

  readonly #answers: Readonly<Record<string, (given: Given) => unknown>> = {
    status: () => this.status,
    machine: () => this.record,
    tree: () => ({ nodes: this.nodes, current: this.status.position, hiddenBytes: this.nodes.length > 5 ? 48e6 : 0 }),
    details: ({ id }) => this.#details(this.#node(id)),
    compare: ({ from, to }) => ({
      from,
      to,
      changedPages: 18_244,
      totalPages: PAGES,
      disks: [
        { device: 'vda', changedBytes: 212 * MIB, size: 8 * GIB },
        { device: 'vdb', size: 2 * GIB },
      ],
    }),
    verify: () => ({ checkpoints: this.nodes.length, pages: 123_456, problems: [] }),
    'rename-checkpoint': ({ id, name }) => this.#change(id, { name: name! }),
    'annotate-checkpoint': ({ id, note }) => this.#change(id, { note: note! }),
    'protect-checkpoint': given => this.#change(given.id, { protected: given.protected! }),
    'keep-checkpoint': ({ id }) => this.#change(id, { origin: 'manual' }),
    'persist-checkpoint': ({ id }) => this.#change(id, { store: 'file', durable: true }),
    'delete-checkpoint': ({ id }) => this.#delete(id),
    restore: ({ id }) => {
      this.announce({ position: this.#node(id).id });
      this.announceTree();
      return { id, kept: this.nodes[0]!.id, milliseconds: 214 };
    },
    'cancel-checkpoint': () => {
      const { taking: _, ...rest } = this.status;
      this.status = rest;
      this.#emit({ event: 'status', status: rest });
      return {};
    },
    memory: given => memoryView(given.groups ?? PAGES, this.#virtualized),
    virtualize: () => this.#virtualize(true),
    devirtualize: () => this.#virtualize(false),
    share: () => ({}),
    scatter: () => ({}),
    disks: () => this.disks,
    'detached-disks': () => [],
    'disk-map': ({ layer }) => rangesOf(layer!),
    'disk-job-preview': given => previewOf(given),
    'disk-job': given => this.#startJob(given),
    jobs: () => this.jobs,
    'cancel-job': ({ job }) => this.setJob(job!, { state: 'cancelled', endedAt: NOW }),
    'limit-job': () => ({}),
  };

  disks: readonly DiskView[] = disksOf();

  setJob(job: number, change: Partial<JobView>): unknown {
    this.jobs = this.jobs.map(one => (one.job === job ? { ...one, ...change } : one));
    const changed = this.jobs.find(one => one.job === job);
    if (changed !== undefined) this.#emit({ event: 'job', job: changed });
    return {};
  }

  #startJob(given: Given): unknown {
    const job = this.jobs.length + 1;
    const view: JobView = {
      job,
      kind: given.kind as JobView['kind'],
      subject: 'vda',
      disk: given.disk!,
      state: 'running',
      done: 96 * MIB,
      total: 400 * MIB,
      bytesPerSecond: 61 * MIB,
      startedAt: NOW - 1500,
    };
    this.jobs = [...this.jobs, view];
    this.#emit({ event: 'job', job: view });
    return { job };
  }

  #virtualize(on: boolean): unknown {
    this.#virtualized = on;
    return {};
  }

  #node(id: string | undefined): CheckpointNode {
    const node = this.nodes.find(one => one.id === id);
    if (node === undefined) throw new AfterimageError('missing', 'There is no such checkpoint');
    return node;
  }

  #details(node: CheckpointNode): CheckpointDetails {
    return {
      ...node,
      ownBytes: node.bytes ?? 0,
      sharedBytes: node.base === undefined ? 0 : 131e6,
      memory: this.record.memory,
      pages: Math.floor((node.bytes ?? 0) / 1700),
      pendingRequests: node.name.length % 4,
      disks: [{ device: 'vda', layer: 'disks/root-7.qcow2', size: 8 * GIB }],
      screen: screenOf(node),
    };
  }

  #change(id: string | undefined, change: Partial<CheckpointNode>): unknown {
    this.nodes = this.nodes.map(node => (node.id === id ? { ...node, ...change } : node));
    this.announceTree();
    return {};
  }

  #delete(id: string | undefined): unknown {
    const gone = this.#node(id);
    this.nodes = this.nodes
      .filter(node => node.id !== id)
      .map(({ parent, ...node }) => {
        const next = parent === id ? gone.parent : parent;
        return next === undefined ? node : { ...node, parent: next };
      });
    if (this.status.position === id && gone.parent !== undefined) this.announce({ position: gone.parent });
    this.announceTree();
    return { deleted: [id] };
  }
}

/** What the scripted answers take from arguments of any call. */
interface Given {
  readonly id?: string;
  readonly from?: string;
  readonly to?: string;
  readonly name?: string;
  readonly note?: string;
  readonly protected?: boolean;
  readonly groups?: number;
  readonly layer?: string;
  readonly kind?: string;
  readonly disk?: number;
  readonly job?: number;
}

const READING: ReadonlySet<string> = new Set([
  'disk-job-preview',
  'status',
  'machine',
  'tree',
  'details',
  'memory',
  'disks',
  'disk-map',
  'jobs',
]);

function screenOf(node: CheckpointNode): ScreenText {
  const lines = [
    'Debian GNU/Linux 13 debian ttyS0',
    '',
    'debian login: root (automatic login)',
    'Linux debian 6.12.48+deb13-riscv64 #1 SMP Debian riscv64',
    'root@debian:~# uptime',
    ' 15:42:10 up  1:02,  1 user,  load average: 0.31, 0.20, 0.08',
    'root@debian:~# make -C /srv/project test',
    "make: Entering directory '/srv/project'",
    ...Array.from(
      { length: 9 },
      (_, index) =>
        `  ok ${index + 1}  ${'unit integration storage network'.split(' ')[index % 4]} ${'.'.repeat(28)} passed`,
    ),
    "make: Leaving directory '/srv/project'",
    `root@debian:~# # ${node.name}`,
    'root@debian:~# ',
  ];
  return { columns: 80, rows: 24, lines };
}

function memoryView(groups: number, virtualized: boolean): MemoryView {
  let group = 1;
  while (PAGES / group > groups) group *= 2;
  const cells = PAGES / group;
  const random = new Random(99);
  const pages = new Uint8Array(cells);
  let left = 0;
  let bits = 0;
  for (let cell = 0; cell < cells; cell += 1) {
    if (left-- <= 0) {
      left =
        1 + (random.below(9) === 0 ? random.below(Math.ceil((2000 / group) * 2)) : random.below(Math.ceil(90 / group)));
      const at = cell / cells;
      const kinds = [
        0,
        PAGE_BITS.dirty,
        PAGE_BITS.remapped,
        PAGE_BITS.held | PAGE_BITS.dirty,
        PAGE_BITS.shared,
        PAGE_BITS.zero,
        PAGE_BITS.absent,
      ];
      bits = at > 0.62 && random.below(10) < 9 ? PAGE_BITS.zero : kinds[random.below(random.below(3) === 0 ? 7 : 2)]!;
      if (random.below(60) === 0) bits = PAGE_BITS.pinned;
    }
    pages[cell] = bits | (virtualized ? PAGE_BITS.virtualized : 0);
  }
  const counts = Object.fromEntries(
    Object.entries(PAGE_BITS).map(([name, bit]) => [name, pages.filter(page => (page & bit) !== 0).length * group]),
  ) as Record<PageBit, number>;
  return {
    totalPages: PAGES,
    first: 0,
    pages,
    group,
    counts,
    virtualized: virtualized ? [{ first: 0, count: PAGES }] : [],
    freeFrames: 8120,
    mapFrames: virtualized ? 128 : 0,
    counters: { cowFaults: 18_223, copies: 17_980, moves: 412, waits: 3 },
    busy: false,
  };
}

function layer(path: string, backing: string | undefined, more: Partial<LayerView>): LayerView {
  const yes = { allowed: true };
  return {
    path,
    format: 'qcow2',
    virtualSize: 8 * GIB,
    allocatedSize: 96 * MIB,
    ...(backing !== undefined && { backing }),
    overlays: [],
    neededBy: [],
    may: { delete: yes, commit: yes, stream: yes, compact: yes, resize: yes },
    ...more,
  };
}

function disksOf(): DiskView[] {
  const checkpoint = (name: string, direct = true) => ({
    by: 'checkpoint' as const,
    id: name.padEnd(32, '0'),
    name,
    direct,
  });
  const machine = (direct: boolean) => ({ by: 'machine' as const, id: MACHINE, direct });
  const no = (reason: string) => ({ allowed: false, reason });
  return [
    {
      disk: 0,
      device: 'vda',
      mode: 'persistent',
      host: { discard: true, reflink: false, preallocation: true },
      size: 8 * GIB,
      active: 'disks/root-9.qcow2',
      layers: [
        layer('disks/root.qcow2', undefined, {
          allocatedSize: 1.9 * GIB,
          overlays: ['disks/root-3.qcow2', 'disks/root-5.qcow2'],
          neededBy: [machine(false), checkpoint('fresh install'), checkpoint('before upgrade', false)],
          may: {
            delete: no('checkpoint fresh install needs it'),
            commit: no('there is no layer below'),
            stream: no('there is no layer below'),
            compact: { allowed: true },
            resize: no('root-3.qcow2 stands on it'),
          },
        }),
        layer('disks/root-3.qcow2', 'disks/root.qcow2', {
          allocatedSize: 412 * MIB,
          overlays: ['disks/root-9.qcow2'],
          neededBy: [
            machine(false),
            checkpoint('before upgrade'),
            checkpoint('nginx configured'),
            checkpoint('ready for the demo'),
          ],
          may: {
            delete: no('checkpoint before upgrade needs it'),
            commit: no('checkpoint before upgrade needs it'),
            stream: { allowed: true },
            compact: { allowed: true },
            resize: no('root-9.qcow2 stands on it'),
          },
        }),
        layer('disks/root-5.qcow2', 'disks/root.qcow2', {
          allocatedSize: 733 * MIB,
          overlays: ['disks/root-7.qcow2'],
          neededBy: [checkpoint('half of the migration')],
        }),
        layer('disks/root-7.qcow2', 'disks/root-5.qcow2', { allocatedSize: 188 * MIB }),
        layer('disks/root-9.qcow2', 'disks/root-3.qcow2', {
          allocatedSize: 61 * MIB,
          neededBy: [machine(true)],
          may: {
            delete: no('machine build server needs it'),
            commit: no('checkpoint before upgrade needs the layer below'),
            stream: { allowed: true },
            compact: no('machine build server needs it'),
            resize: { allowed: true },
          },
        }),
      ],
    },
    {
      disk: 1,
      device: 'vdb',
      mode: 'readonly',
      size: 2 * GIB,
      active: 'disks/data.raw',
      layers: [
        layer('disks/data.raw', undefined, {
          format: 'raw',
          virtualSize: 2 * GIB,
          allocatedSize: 640 * MIB,
          neededBy: [machine(true)],
          may: {
            delete: no('machine build server needs it'),
            commit: no('there is no layer below'),
            stream: no('there is no layer below'),
            compact: no('machine build server needs it'),
            resize: { allowed: true },
          },
        }),
      ],
    },
  ];
}

function rangesOf(path: string): AllocatedRange[] {
  const random = new Random(path.length * 31 + path.charCodeAt(path.length - 7));
  const ranges: AllocatedRange[] = [];
  for (let start = 0; start < 8 * GIB; ) {
    const length = 65_536 * (1 + random.below(path.includes('-') ? 400 : 4000));
    const kind = random.below(12) === 0 ? 'zero' : random.below(9) === 0 ? 'compressed' : 'data';
    ranges.push({ start, length: Math.min(length, 8 * GIB - start), kind });
    start += length + 65_536 * random.below(path.includes('-') ? 6000 : 2500);
  }
  return ranges;
}

function previewOf(given: Given): JobPreview {
  if (given.kind === 'delete') {
    const text = `${given.layer} is deleted. No checkpoint and no disk of the machine has its content.`;
    return { text, bytesToCopy: 0, bytesFreed: 188 * MIB, allowed: true };
  }
  const layer = given.layer?.split('/').at(-1) ?? 'the layer';
  const texts: Readonly<Record<string, string>> = {
    overlay: `A new layer is put on ${layer}; the guest writes there from now on.`,
    commit: `What ${layer} holds is written into the layer below, then it is removed.`,
    stream: `What ${layer} takes from below is copied into it.`,
    compact: `${layer} is rewritten without what nobody reads.`,
    check: `The tables of ${layer} are read.`,
    resize: `The guest sees another size.`,
  };
  return {
    text: texts[given.kind ?? ''] ?? layer,
    bytesToCopy: given.kind === 'check' || given.kind === 'overlay' ? 0 : 412 * MIB,
    bytesFreed: given.kind === 'commit' || given.kind === 'compact' ? 380 * MIB : 0,
    allowed: true,
  };
}
