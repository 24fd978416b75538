import { AfterimageError } from '../base/errors.ts';
import { aboutTable, LONGEST_NAME, LONGEST_NOTE } from './about.ts';
import { readOutline } from './file-reader.ts';
import { replaceFile } from './folder.ts';
import { damaged, type Hex, toHex } from './format.ts';
import { encodeHeader, type ParentLink } from './header.ts';
import { ZERO_BLOCK } from './page-index.ts';
import { Queue } from './queue.ts';
import { CheckpointReader } from './reader.ts';
import { expired, type RetentionPolicy } from './retention.ts';
import type { JobOptions } from './rewrite.ts';
import type { CheckpointStore } from './store.ts';
import { chainOf, isThere } from './tree-chain.ts';
import { decodeTree, encodeTree, readTree, TREE_FILE, type TreeRecord, type TreeState } from './tree-file.ts';
import { TreeMerger } from './tree-merger.ts';
import type { DeleteOptions, FileFacts, TakeOptions, TreeDraft, TreeNode, TreeParts } from './tree-shapes.ts';
import { durablePart, nearestListed, subtreeOf, withHidden } from './tree-state.ts';
import { type VerifyOptions, type VerifyReport, verifyTree } from './tree-verify.ts';
import { type CheckpointTrailer, CheckpointWriter } from './writer.ts';

export type { DeleteOptions, TakeOptions, TreeDraft, TreeNode, TreeParts } from './tree-shapes.ts';

/**
 * The checkpoints of one machine (C16). Every change is one replacement of `tree.json` or one of a checkpoint file, so a
 * cut at any instant leaves the old tree or the new one. Deleting takes a node off the list at once; its file stays,
 * hidden, as long as others take pages from it. Calls may overlap.
 */
export class CheckpointTree {
  readonly #parts: TreeParts;
  readonly #facts: Map<Hex, FileFacts>;
  /** Users of a file beside the nodes that build on it: checkpoints being taken, the machine's dirty marks. */
  readonly #pins = new Map<Hex, number>();
  readonly #changes = new Queue();
  readonly #merger: TreeMerger;
  #state: TreeState;

  private constructor(parts: TreeParts, state: TreeState, facts: Map<Hex, FileFacts>) {
    this.#parts = parts;
    this.#state = state;
    this.#facts = facts;
    this.#merger = new TreeMerger({
      stores: parts.stores,
      codecs: parts.codecs,
      facts,
      records: () => this.#state.nodes,
      pinned: id => this.#pins.has(id),
      find: id => this.#find(id),
      learn: () => this.#learnFacts(),
      change: (id, record) => this.#changeNode(id, record),
    });
  }

  /**
   * Opens the tree of a machine, which must not be open elsewhere; an empty one when there is none. What interrupted
   * work left is removed. A file that is missing or unreadable does not stop it: `verify` tells.
   * @throws AfterimageError `corrupt`, `unsupported` for `tree.json`; `state` when it is of another machine
   */
  static async open(parts: TreeParts): Promise<CheckpointTree> {
    const state = (await readTree(parts.folder)) ?? { machine: parts.machine, nodes: new Map() };
    if (state.machine !== parts.machine) {
      throw new AfterimageError('state', 'The tree is that of another machine', { machine: state.machine });
    }
    for (const store of parts.stores.values()) await store.sweep();
    const tree = new CheckpointTree(parts, state, new Map());
    await tree.#merger.removeUnneeded();
    return tree;
  }

  /** Makes a tree from the files alone, for when `tree.json` is lost: names are those of the moments. */
  static async rebuild(parts: TreeParts): Promise<CheckpointTree> {
    const tree = new CheckpointTree(parts, { machine: parts.machine, nodes: new Map() }, new Map());
    await tree.#changes.run(() => tree.#commit({ machine: parts.machine, nodes: new Map() }));
    let waiting = (await tree.orphans()).map(({ store, id }) => ({ store, id }));
    // A child can be placed once its base is; what is left lacks its base and stays an orphan.
    for (let placed = -1; placed !== 0; ) {
      placed = 0;
      const next: typeof waiting = [];
      for (const { store, id } of waiting) {
        try {
          await tree.adopt(store, id);
          placed += 1;
        } catch (thrown) {
          if (!(thrown instanceof AfterimageError)) throw thrown;
          if (thrown.kind === 'missing') next.push({ store, id });
          else if (thrown.kind !== 'corrupt' && thrown.kind !== 'unsupported') throw thrown;
        }
      }
      waiting = next;
    }
    return tree;
  }

  /** Listed checkpoints, oldest first. */
  get nodes(): readonly TreeNode[] {
    return [...this.#state.nodes.values()]
      .filter(record => !record.hidden)
      .sort((a, b) => a.takenAt - b.takenAt)
      .map(record => this.#nodeOf(record));
  }

  get current(): Hex | undefined {
    return this.#state.current;
  }

  /** Bytes of files that are kept only because others take pages from them. */
  get hiddenBytes(): number {
    return [...this.#state.nodes.values()]
      .filter(record => record.hidden)
      .reduce((sum, record) => sum + (this.#facts.get(record.id)?.bytes ?? 0), 0);
  }

  /** @throws AfterimageError `missing` */
  node(id: Hex): TreeNode {
    return this.#nodeOf(this.#listed(id));
  }

  /** Whether it is listed. */
  has(id: Hex): boolean {
    return this.#state.nodes.get(id)?.hidden === false;
  }

  /** Whether what is in a store outlives the process. @throws AfterimageError `missing` */
  isDurable(store: string): boolean {
    return this.#store(store).durable;
  }

  /** Names the identity and seal to build on. `missing` when its file cannot be read or it was deleted. */
  linkTo(id: Hex): ParentLink {
    const facts = this.#facts.get(id);
    if (facts === undefined || !this.#state.nodes.has(id) || this.#merger.isRemoving(id)) {
      throw new AfterimageError('missing', 'No such checkpoint to build on', { id });
    }
    return { id, seal: facts.seal };
  }

  /** How many files a checkpoint takes pages from, its own and deleted ones included. */
  chainLength(id: Hex): number {
    return chainOf(this.#facts, id).length;
  }

  /** Whether those files can still be built on: anybody may have removed one, or pulled out its medium. */
  async isThere(id: Hex): Promise<boolean> {
    const look = () => isThere(this.#facts, chainOf(this.#facts, id), one => this.#find(one));
    // One may have been merged into another while it was looked for.
    return (await look()) || (this.#merger.busy && (await look()));
  }

  /** Keeps a file for the machine whose dirty marks count from it, also when its node is deleted. */
  pin(id: Hex): void {
    this.linkTo(id);
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
  }

  /** The file goes with the next `collapse` or deletion if nothing else needs it. */
  unpin(id: Hex): void {
    const count = (this.#pins.get(id) ?? 0) - 1;
    if (count > 0) this.#pins.set(id, count);
    else this.#pins.delete(id);
  }

  /** @throws AfterimageError `missing` for base or store, `usage` for a durable one on a base that is not */
  async take(options: TakeOptions): Promise<TreeDraft> {
    const { codecs, machine, random } = this.#parts;
    const store = this.#store(options.store);
    const link = options.base === undefined ? undefined : this.linkTo(options.base);
    if (link !== undefined && store.durable && !this.#store(this.#state.nodes.get(link.id)!.store).durable) {
      throw new AfterimageError('usage', 'A kept checkpoint cannot build on one in memory', { base: link.id });
    }
    const id = toHex(random(16));
    const parent = options.parent ?? this.#state.current;
    if (link !== undefined) this.pin(link.id);
    let done = false;
    const unpin = () => {
      if (!done && link !== undefined) this.unpin(link.id);
      done = true;
    };
    try {
      const header = { id, machine, spaces: options.spaces, ...(link === undefined ? {} : { parent: link }) };
      // Before a file is made: what cannot be written leaves nothing to take back.
      encodeHeader(header, new Set());
      const stored = await store.begin(id);
      const writer = CheckpointWriter.begin(stored.file, header, codecs);
      const abort = async () => {
        await writer.abort();
        await stored.abort();
        unpin();
      };
      const complete = async (trailer: CheckpointTrailer) => {
        try {
          const written = await writer.finish(trailer);
          await stored.complete();
          const base = link === undefined ? {} : { base: link.id };
          this.#facts.set(id, { ...base, seal: written.seal, bytes: written.bytes });
          await this.#list(id, options.store, parent, trailer);
          unpin();
          return written;
        } catch (thrown) {
          this.#facts.delete(id);
          await abort();
          await this.#unlist(id, store, thrown);
          throw thrown;
        }
      };
      return { id, writer, complete, abort };
    } catch (thrown) {
      unpin();
      throw thrown;
    }
  }

  /** At most `LONGEST_NAME` characters. */
  async rename(id: Hex, name: string): Promise<void> {
    checkText(name, LONGEST_NAME);
    await this.#edit(id, record => ({ ...record, name }));
  }

  /** At most `LONGEST_NOTE` characters. */
  async annotate(id: Hex, note: string): Promise<void> {
    checkText(note, LONGEST_NOTE);
    await this.#edit(id, record => ({ ...record, note }));
  }

  async protect(id: Hex, value: boolean): Promise<void> {
    await this.#edit(id, record => ({ ...record, protected: value }));
  }

  /** Makes an automatic checkpoint one that retention leaves alone. */
  async keep(id: Hex): Promise<void> {
    await this.#edit(id, record => ({ ...record, origin: 'manual' }));
  }

  async setCurrent(id: Hex): Promise<void> {
    await this.#changes.run(async () => {
      this.#listed(id);
      await this.#commit({ ...this.#state, current: id });
    });
  }

  /** @throws AfterimageError `missing`, `state` when it is protected; it is not listed then any less than before */
  async delete(id: Hex, options: DeleteOptions = {}): Promise<void> {
    await this.#hide(() => [id]);
    await this.#afterDeleting(options);
  }

  /** The node and all that come after it. One protected node in it and nothing is deleted. */
  async deleteSubtree(id: Hex, options: DeleteOptions = {}): Promise<readonly Hex[]> {
    const ids = await this.#hide(() => subtreeOf(this.#state, this.#listed(id).id));
    await this.#afterDeleting(options);
    return ids;
  }

  /** Deletes automatic checkpoints that the policy, and `mayGo`, let go at that instant; never a manual one. */
  async retain(
    policy: RetentionPolicy,
    options: DeleteOptions & { readonly mayGo?: (id: Hex) => boolean } = {},
  ): Promise<readonly Hex[]> {
    const { mayGo = () => true } = options;
    const ids = await this.#hide(() => expired(this.nodes, policy, this.#state.current).filter(mayGo));
    await this.#afterDeleting({ merge: 'when-worth', ...options });
    return ids;
  }

  /** Finishes what deletions left: merges and removes hidden files. Bytes freed (negative: copied to several). */
  collapse(options: DeleteOptions = {}): Promise<number> {
    return this.#merger.collapse(options);
  }

  /** Pages of a checkpoint, wherever they lie. Stays readable whatever is deleted or merged meanwhile. */
  async open(id: Hex): Promise<CheckpointReader> {
    this.#listed(id);
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await CheckpointReader.open(await this.#find(id), one => this.#find(one), this.#parts.codecs);
      } catch (thrown) {
        // Its file may have been merged with its base between the opening of one and the other.
        const moved = thrown instanceof AfterimageError && thrown.kind === 'missing' && this.#merger.busy;
        if (!moved || attempt === 3) throw thrown;
      }
    }
  }

  /** Own bytes, and those that it takes from other files. */
  async sizes(id: Hex): Promise<{ readonly own: number; readonly shared: number }> {
    const reader = await this.open(id);
    try {
      const used = new Map<string, number>();
      for (const space of reader.spaces.keys()) {
        for (const run of reader.runs(space)) {
          if (run.file === reader.files[0] || run.block === ZERO_BLOCK) continue;
          used.set(`${run.file.id}/${run.block}`, run.file.index.block(run.block).length);
        }
      }
      const shared = [...used.values()].reduce((sum, length) => sum + length, 0);
      return { own: this.#facts.get(id)?.bytes ?? 0, shared };
    } finally {
      await reader.close();
    }
  }

  /** Moves a checkpoint to another store, with whatever it needs that would not stay (C15: RAM, persisted later). */
  async persist(id: Hex, store: string, options: JobOptions = {}): Promise<void> {
    this.#listed(id);
    this.#store(store);
    await this.#merger.move(id, store, options);
    await this.#merger.removeUnneeded();
  }

  /** Files that are in a store and not in the tree. */
  async orphans(): Promise<readonly { readonly store: string; readonly id: Hex; readonly bytes: number }[]> {
    const found: { store: string; id: Hex; bytes: number }[] = [];
    for (const [name, store] of this.#parts.stores) {
      for (const { id, bytes } of await store.list()) {
        if (this.#state.nodes.get(id)?.store !== name) found.push({ store: name, id, bytes });
      }
    }
    return found;
  }

  /** Lists a complete file of this machine that lies in a store. `missing` when its base is not in the tree. */
  async adopt(store: string, id: Hex): Promise<void> {
    if (this.#state.nodes.has(id)) throw new AfterimageError('usage', 'The checkpoint is already in the tree', { id });
    const file = await this.#store(store).open(id);
    const reader = await CheckpointReader.open(file, one => this.#find(one), this.#parts.codecs);
    try {
      const { header, trailer } = reader.files[0]!.outline;
      if (header.id !== id) throw damaged('it is not the one it is named', { file: file.name, section: 'header' });
      if (header.machine !== this.#parts.machine) {
        throw new AfterimageError('unsupported', 'The checkpoint is of another machine', { id });
      }
      const about = await reader.table(aboutTable);
      if (about === undefined) throw damaged('it says nothing about itself', { file: file.name, section: 'about' });
      const base = header.parent?.id;
      const facts = { seal: trailer.seal, bytes: trailer.fileBytes };
      this.#facts.set(id, base === undefined ? facts : { ...facts, base });
      await this.#list(id, store, base, { about }, false);
    } finally {
      await reader.close();
    }
  }

  /** Removes a file that is not in the tree. */
  async removeOrphan(store: string, id: Hex): Promise<void> {
    if (this.#state.nodes.get(id)?.store === store) {
      throw new AfterimageError('usage', 'The file is not an orphan', { id, store });
    }
    await this.#store(store).remove(id);
  }

  /** Proves that every node restores and every file is needed, or says what is wrong. */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    return await this.#merger.quiet(async () => {
      const listed = [...this.#state.nodes.values()];
      const open = async (id: Hex) =>
        CheckpointReader.open(await this.#find(id), one => this.#find(one), this.#parts.codecs);
      const unneeded = listed.filter(record => record.hidden && this.#merger.isUnneeded(record.id));
      return await verifyTree({ records: listed, unneeded, orphans: await this.orphans(), open }, options);
    });
  }

  async #afterDeleting(options: DeleteOptions): Promise<void> {
    if (options.merge === 'later') return;
    await this.#merger.collapse(options);
  }

  /** False when a file that cannot be read, and that somebody needs, may build on others. */
  async #learnFacts(): Promise<boolean> {
    const unknown: Hex[] = [];
    for (const record of this.#state.nodes.values()) {
      if (!this.#facts.has(record.id) && !(await this.#readFacts(record))) unknown.push(record.id);
    }
    return unknown.every(id => this.#merger.isUnneeded(id));
  }

  /** Whether it is known what the file builds on; one that is not there builds on nothing. */
  async #readFacts(record: TreeRecord): Promise<boolean> {
    try {
      const file = await this.#find(record.id);
      try {
        const { header, trailer } = await readOutline(file);
        const facts = { seal: trailer.seal, bytes: trailer.fileBytes };
        const base = header.parent?.id;
        this.#facts.set(record.id, base === undefined ? facts : { ...facts, base });
      } finally {
        await file.close();
      }
      return true;
    } catch (thrown) {
      // Verify and open say what is wrong with it; the other nodes do not depend on it.
      if (!(thrown instanceof AfterimageError) || thrown.kind === 'internal') throw thrown;
      const store = this.#parts.stores.get(record.store);
      return thrown.kind === 'missing' && store !== undefined && store.lost !== true;
    }
  }

  async #list(id: Hex, store: string, after: Hex | undefined, trailer: CheckpointTrailer, current = true) {
    await this.#changes.run(async () => {
      const { name, note, takenAt, origin, pauseMicroseconds } = trailer.about;
      const parent = nearestListed(this.#state.nodes, after);
      const link = parent === undefined ? {} : { parent };
      const record = { id, store, ...link, name, note, takenAt, origin, pauseMicroseconds };
      const nodes = new Map(this.#state.nodes).set(id, { ...record, protected: false, hidden: false });
      await this.#commit(current ? { ...this.#state, current: id, nodes } : { ...this.#state, nodes });
    });
  }

  /**
   * A checkpoint that has failed leaves no file: what its disks stood on goes on being written to, so whoever found it
   * later would find memory and disks of different times. Should the host fail here too, its file stays.
   */
  async #unlist(id: Hex, store: CheckpointStore, reason: unknown): Promise<void> {
    try {
      if (mayBeListed(reason)) await this.#changes.run(() => this.#commit(this.#state));
      await store.remove(id);
    } catch {
      // What matters is why it failed.
    }
  }

  /** Takes nodes off the list, in one step. */
  async #hide(choose: () => readonly Hex[]): Promise<readonly Hex[]> {
    return await this.#changes.run(async () => {
      const ids = choose();
      for (const id of ids) {
        if (this.#listed(id).protected) throw new AfterimageError('state', 'The checkpoint is protected', { id });
      }
      if (ids.length > 0) await this.#commit(withHidden(this.#state, ids));
      return ids;
    });
  }

  async #edit(id: Hex, change: (record: TreeRecord) => TreeRecord): Promise<void> {
    await this.#changes.run(async () => {
      const nodes = new Map(this.#state.nodes).set(id, change(this.#listed(id)));
      await this.#commit({ ...this.#state, nodes });
    });
  }

  async #changeNode(id: Hex, change: Partial<TreeRecord> | undefined): Promise<void> {
    await this.#changes.run(async () => {
      const nodes = new Map(this.#state.nodes);
      const record = nodes.get(id);
      if (change === undefined) nodes.delete(id);
      else if (record !== undefined) nodes.set(id, { ...record, ...change });
      await this.#commit({ ...this.#state, nodes });
    });
  }

  /** Makes a state durable, then the present one. Nodes that are not durable are left out of the file. */
  async #commit(state: TreeState): Promise<void> {
    const bytes = encodeTree(durablePart(state, record => this.#store(record.store).durable));
    // What would not be read again is not written: names and notes are bounded here too.
    decodeTree(bytes, this.#parts.folder.name);
    await replaceFile(this.#parts.folder, TREE_FILE, bytes);
    this.#state = state;
  }

  #find(id: Hex) {
    const record = this.#state.nodes.get(id);
    if (record === undefined) throw new AfterimageError('missing', 'No such checkpoint', { id });
    return this.#store(record.store).open(id);
  }

  #store(name: string): CheckpointStore {
    const store = this.#parts.stores.get(name);
    if (store === undefined)
      throw new AfterimageError('missing', 'The store of a checkpoint is not here', { store: name });
    return store;
  }

  #listed(id: Hex): TreeRecord {
    const record = this.#state.nodes.get(id);
    if (record === undefined || record.hidden) throw new AfterimageError('missing', 'No such checkpoint', { id });
    return record;
  }

  #nodeOf({ hidden: _, ...record }: TreeRecord): TreeNode {
    const facts = this.#facts.get(record.id);
    const known =
      facts === undefined ? {} : { bytes: facts.bytes, ...(facts.base === undefined ? {} : { base: facts.base }) };
    const durable = this.#parts.stores.get(record.store)?.durable === true;
    return { ...record, ...known, current: record.id === this.#state.current, durable };
  }
}

function checkText(text: string, longest: number): void {
  if (text.length > longest)
    throw new AfterimageError('usage', 'The text is too long', { length: text.length, longest });
}

function mayBeListed(thrown: unknown): boolean {
  return thrown instanceof AfterimageError && thrown.context.renamed === true;
}
