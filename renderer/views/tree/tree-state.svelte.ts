// The checkpoint tree of one machine: what the host last said of it, what is shown of it, and what is selected.
import type { CheckpointDetails, CheckpointNode, CheckpointTreeView } from '../../../engine/api/checkpoints.ts';
import type { Identity } from '../../../engine/api/machine.ts';
import { AfterimageError, type PlainError } from '../../../engine/base/errors.ts';
import type { MachineSession } from '../../state/machine-session.svelte.ts';
import { Family } from './family.ts';
import { matches, NO_FILTER, type TreeFilter } from './filter.ts';
import { PRESENT, TAKING, treeRows } from './rows.ts';

export class TreeState {
  readonly session: MachineSession;
  #tree = $state.raw<CheckpointTreeView>();
  #problem = $state.raw<PlainError>();
  #selected = $state<string>();
  #details = $state.raw<ReadonlyMap<Identity, CheckpointDetails | 'unreadable'>>(new Map());
  /** What the user asked for and the host has not answered yet, by checkpoint. */
  #working = $state.raw<ReadonlySet<Identity>>(new Set());
  #loading = false;
  #again = false;
  filter = $state.raw<TreeFilter>(NO_FILTER);
  /** The one whose name is being edited in its row. */
  renaming = $state<Identity>();
  /** The two that are compared; without `to` the user is choosing it. */
  comparing = $state.raw<{ readonly from: Identity; readonly to?: Identity }>();

  constructor(session: MachineSession) {
    this.session = session;
  }

  get tree(): CheckpointTreeView | undefined {
    return this.#tree;
  }

  get problem(): PlainError | undefined {
    return this.#problem;
  }

  readonly current = $derived.by(() => this.#tree?.current ?? this.session.status.position);
  // By themselves, so that the progress of a checkpoint does not lay the tree out anew.
  readonly #taking = $derived.by(() => this.session.status.taking !== undefined);
  readonly family = $derived(new Family(this.#tree?.nodes ?? []));
  readonly shown = $derived(
    treeRows(this.#tree ?? { nodes: [] }, this.current, this.#taking, node => matches(node, this.filter)),
  );
  readonly shownCount = $derived(this.shown.rows.filter(row => row.kind === 'checkpoint').length);

  /** A row's identity. What has left the list is not selected any more. */
  get selected(): string | undefined {
    const id = this.#selected;
    if (id === TAKING && !this.#taking) return PRESENT;
    return id === undefined || id === PRESENT || id === TAKING || this.family.get(id) !== undefined ? id : undefined;
  }

  get selectedNode(): CheckpointNode | undefined {
    return this.family.get(this.selected);
  }

  readonly selectedRow = $derived(this.selected === undefined ? undefined : this.shown.layout.rowOf.get(this.selected));

  select(id: string | undefined): void {
    const { comparing } = this;
    if (comparing !== undefined && comparing.to === undefined && this.family.get(id) !== undefined) {
      if (id !== comparing.from) this.comparing = { from: comparing.from, to: id! };
      return;
    }
    this.#selected = id;
    this.comparing = undefined;
    const node = this.family.get(id);
    if (node !== undefined) void this.loadDetails(node.id);
  }

  /** Undefined while they are being read. */
  detailsOf(id: Identity): CheckpointDetails | 'unreadable' | undefined {
    return this.#details.get(id);
  }

  isWorking(id: Identity): boolean {
    return this.#working.has(id);
  }

  /** Marks a checkpoint while the host works on what the user asked for. */
  async work<Result>(id: Identity, task: () => Promise<Result>): Promise<Result> {
    this.#working = new Set([...this.#working, id]);
    try {
      return await task();
    } finally {
      this.#working = new Set([...this.#working].filter(other => other !== id));
    }
  }

  /** Asks for the tree. While an answer is awaited, any number of further calls ask once more after it. */
  async load(): Promise<void> {
    this.#again = true;
    if (this.#loading) return;
    this.#loading = true;
    try {
      while (this.#again) {
        this.#again = false;
        this.#adopt(await this.session.call('tree', {}));
      }
    } catch (error) {
      this.#problem = AfterimageError.from(error).toPlain();
    } finally {
      this.#loading = false;
    }
  }

  /** Kept until the tree changes. One that cannot be read is told once and no error. */
  async loadDetails(id: Identity): Promise<CheckpointDetails | undefined> {
    const known = this.#details.get(id);
    if (known !== undefined) return known === 'unreadable' ? undefined : known;
    let details: CheckpointDetails | undefined;
    try {
      details = await this.session.call('details', { id });
    } catch {
      // What is wrong with its file is what `verify` is for; the tree itself is still right.
    }
    this.#details = new Map([...this.#details, [id, details ?? 'unreadable']]);
    return details;
  }

  /** Keeps the tree true while the view is there; returns what ends it. */
  follow(): () => void {
    void this.load();
    const endSession = this.session.onEvent(({ event }) => {
      if (event === 'tree' || event === 'checkpoint') void this.load();
    });
    const endApp = this.session.app.onEvent(event => {
      if (event.event === 'connection' && event.state === 'back') void this.load();
    });
    return () => {
      endSession();
      endApp();
    };
  }

  #adopt(tree: CheckpointTreeView): void {
    const before = this.family;
    this.#tree = tree;
    this.#problem = undefined;
    const unchanged = [...this.#details].filter(([id]) => sameFile(before.get(id), this.family.get(id)));
    this.#details = new Map(unchanged);
    if (this.selectedNode !== undefined) void this.loadDetails(this.selectedNode.id);
  }
}

/** Whether details that were read before still count: what they say comes from the file. */
function sameFile(before: CheckpointNode | undefined, after: CheckpointNode | undefined): boolean {
  return (
    before !== undefined &&
    after !== undefined &&
    before.bytes === after.bytes &&
    before.base === after.base &&
    before.store === after.store
  );
}
