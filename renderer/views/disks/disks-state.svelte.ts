// The disks of one machine: layers, jobs on them and allocated ranges, kept true while somebody looks at them.
import type { AllocatedRange, DiskView, JobView, LayerView } from '../../../engine/api/control.ts';
import { AfterimageError, type PlainError } from '../../../engine/base/errors.ts';
import type { MachineSession } from '../../state/machine-session.svelte.ts';

/** More runs than a strip has pixels say nothing. */
const MOST_RANGES = 1200;

export interface SelectedLayer {
  readonly disk: number;
  readonly path: string;
}

export class DisksState {
  readonly session: MachineSession;
  #disks = $state.raw<readonly DiskView[]>();
  #problem = $state.raw<PlainError>();
  #jobs = $state.raw<readonly JobView[]>([]);
  #ranges = $state.raw<ReadonlyMap<string, readonly AllocatedRange[] | 'unreadable'>>(new Map());
  #asked = new Set<string>();
  #reading: Promise<unknown> = Promise.resolve();
  #loading = false;
  #again = false;
  selected = $state.raw<SelectedLayer>();

  constructor(session: MachineSession) {
    this.session = session;
  }

  /** Undefined until the host has answered. */
  get disks(): readonly DiskView[] | undefined {
    return this.#disks;
  }

  get problem(): PlainError | undefined {
    return this.#problem;
  }

  /** Of disks, ended ones included. */
  get jobs(): readonly JobView[] {
    return this.#jobs;
  }

  readonly selection = $derived.by((): { readonly disk: DiskView; readonly layer: LayerView } | undefined => {
    const disk = this.#disks?.find(one => one.disk === this.selected?.disk);
    const layer = disk?.layers.find(one => one.path === this.selected?.path);
    return disk === undefined || layer === undefined ? undefined : { disk, layer };
  });

  /** Asks once per layer until the layers change. Undefined while it is being read. */
  rangesOf(path: string): readonly AllocatedRange[] | 'unreadable' | undefined {
    return this.#ranges.get(path);
  }

  /** One after the other: a picture is not worth many readers at once. */
  loadRanges(path: string): void {
    if (this.#asked.has(path)) return;
    this.#asked.add(path);
    this.#reading = this.#reading.then(() => this.#readRanges(path));
  }

  async #readRanges(path: string): Promise<void> {
    // The layers may have changed since it was asked for.
    if (!this.#asked.has(path)) return;
    let ranges: readonly AllocatedRange[] | 'unreadable' = 'unreadable';
    try {
      ranges = await this.session.call('disk-map', { layer: path, most: MOST_RANGES });
    } catch {
      // Said where the ranges would be drawn; the layer itself may be in use by others.
    }
    this.#ranges = new Map([...this.#ranges, [path, ranges]]);
  }

  async load(): Promise<void> {
    this.#again = true;
    if (this.#loading) return;
    this.#loading = true;
    try {
      while (this.#again) {
        this.#again = false;
        const [disks, jobs] = await Promise.all([this.session.call('disks', {}), this.session.call('jobs', {})]);
        this.#adopt(disks);
        this.#jobs = jobs;
      }
      this.#problem = undefined;
    } catch (error) {
      this.#problem = AfterimageError.from(error).toPlain();
    } finally {
      this.#loading = false;
    }
  }

  #adopt(disks: readonly DiskView[]): void {
    const sizes = (views: readonly DiskView[] | undefined) =>
      new Map((views ?? []).flatMap(disk => disk.layers.map(layer => [layer.path, layer.allocatedSize])));
    const before = sizes(this.#disks);
    const after = sizes(disks);
    this.#followActive(disks);
    this.#disks = disks;
    // What is allocated elsewhere is drawn anew; the rest keeps its picture.
    const changed = (path: string) => before.get(path) !== after.get(path);
    this.#asked = new Set([...this.#asked].filter(path => !changed(path)));
    this.#ranges = new Map([...this.#ranges].filter(([path]) => !changed(path)));
  }

  /** Who looks at the layer that the guest writes to goes on to the one that has taken its place. */
  #followActive(disks: readonly DiskView[]): void {
    const { selected } = this;
    const before = this.#disks?.find(disk => disk.disk === selected?.disk);
    const after = disks.find(disk => disk.disk === selected?.disk);
    if (selected === undefined || before?.active !== selected.path || after === undefined) return;
    if (after.active !== before.active) this.selected = { disk: after.disk, path: after.active };
  }

  /** Returns what ends it. */
  follow(): () => void {
    void this.load();
    const endSession = this.session.onEvent(happened => {
      if (happened.event === 'disks' || happened.event === 'tree') void this.load();
      if (happened.event === 'job') this.#adoptJob(happened.job);
    });
    const endApp = this.session.app.onEvent(event => {
      if (event.event === 'connection' && event.state === 'back') void this.load();
    });
    return () => {
      endSession();
      endApp();
    };
  }

  #adoptJob(job: JobView): void {
    this.#jobs = [job, ...this.#jobs.filter(other => other.job !== job.job)];
    if (job.state !== 'running') void this.load();
  }
}
