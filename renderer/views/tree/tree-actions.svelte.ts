// What a person can do with checkpoints, from menus, keys and the details alike. Failures are told in passing.
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import type { Application } from '../../state/application.svelte.ts';
import { formatBytes, formatCount, formatDuration } from '../../text/format.ts';
import { TREE_TEXT as TEXT } from '../../text/tree.ts';
import type { TreeState } from './tree-state.svelte.ts';

/** Dialogs of the tree itself. */
export type TreeDialog =
  | { readonly kind: 'restore'; readonly node: CheckpointNode }
  | { readonly kind: 'delete'; readonly node: CheckpointNode; readonly subtree: boolean };

export class TreeActions {
  readonly app: Application;
  readonly state: TreeState;
  dialog = $state.raw<TreeDialog>();
  /** A thorough check of all files is under way. */
  verifying = $state(false);

  constructor(app: Application, state: TreeState) {
    this.app = app;
    this.state = state;
  }

  get #session() {
    return this.state.session;
  }

  take(): void {
    this.app.dialogs.show({ kind: 'checkpoint', machine: this.#session.id });
  }

  async cancelTaking(): Promise<void> {
    await this.app.attempt(() => this.#session.call('cancel-checkpoint', {}), TEXT.cancelTaking.failed);
  }

  async restore(node: CheckpointNode, options: { keepCurrent: boolean; paused: boolean }): Promise<boolean> {
    const { id } = node;
    const restored = await this.app.attempt(
      () =>
        this.state.work(id, async () => {
          await this.#settled();
          return await this.#session.call('restore', { id, ...options });
        }),
      TEXT.restore.failed,
    );
    if (restored === undefined) return false;
    const { kept } = restored;
    this.app.notifications.show({
      tone: 'good',
      title: TEXT.restore.done(node.name, formatDuration(restored.milliseconds)),
      // The state that was left is one step away, as long as it was kept.
      ...(kept !== undefined && { action: { text: TEXT.restore.back, run: () => void this.#goBack(kept) } }),
    });
    return true;
  }

  /** Until no checkpoint is being taken: its row is there a moment before it has ended. */
  #settled(): Promise<void> {
    const session = this.#session;
    if (session.status.taking === undefined) return Promise.resolve();
    return new Promise(resolve => {
      const end = session.onEvent(() => {
        if (session.status.taking !== undefined) return;
        end();
        resolve();
      });
    });
  }

  async #goBack(kept: string): Promise<void> {
    await this.state.load();
    const node = this.state.family.get(kept);
    if (node !== undefined) await this.restore(node, { keepCurrent: this.#session.on, paused: false });
  }

  /** Restores it and takes a checkpoint at once, with a name of its own, so that the branch is in the tree. */
  async branch(node: CheckpointNode): Promise<void> {
    const name = await this.app.dialogs.ask({
      title: TEXT.branch.title(node.name),
      label: TEXT.branch.name,
      hint: TEXT.branch.text,
      value: TEXT.branch.suggestion(node.name),
      confirm: TEXT.branch.confirm,
      maxlength: 200,
    });
    if (name === undefined || !(await this.restore(node, { keepCurrent: this.#session.on, paused: false }))) return;
    await this.#settled();
    await this.app.attempt(() => this.#session.call('checkpoint', { name }), TEXT.branch.failed);
  }

  async clone(node: CheckpointNode): Promise<void> {
    const { app, id: machine, name: machineName } = this.#session;
    const name = await this.app.dialogs.ask({
      title: TEXT.clone.title(node.name),
      label: TEXT.clone.name,
      hint: TEXT.clone.text,
      value: TEXT.clone.suggestion(machineName, node.name),
      confirm: TEXT.clone.confirm,
      maxlength: 100,
    });
    if (name === undefined) return;
    const cloned = await this.app.attempt(
      () => this.state.work(node.id, () => app.call('clone-checkpoint', { machine, id: node.id, name })),
      TEXT.clone.failed,
    );
    if (cloned === undefined) return;
    this.app.notifications.show({
      tone: 'good',
      title: TEXT.clone.done(name),
      action: { text: TEXT.clone.open, run: () => this.app.router.openMachine(cloned.machine) },
    });
  }

  compare(from: CheckpointNode, to?: CheckpointNode): void {
    this.state.comparing = { from: from.id, ...(to !== undefined && { to: to.id }) };
  }

  async rename(node: CheckpointNode, typed: string): Promise<void> {
    this.state.renaming = undefined;
    const name = typed.trim();
    if (name === '' || name === node.name) return;
    await this.app.attempt(() => this.#session.call('rename-checkpoint', { id: node.id, name }), TEXT.rename.failed);
    await this.state.load();
  }

  /** Fulfilled with whether it was saved. */
  async annotate(node: CheckpointNode, note: string): Promise<boolean> {
    if (note === node.note) return true;
    const saved = await this.app.attempt(
      () => this.#session.call('annotate-checkpoint', { id: node.id, note }),
      TEXT.annotate.failed,
    );
    await this.state.load();
    return saved !== undefined;
  }

  async protect(node: CheckpointNode): Promise<void> {
    const change = { id: node.id, protected: !node.protected };
    await this.app.attempt(() => this.#session.call('protect-checkpoint', change), TEXT.protect.failed);
    await this.state.load();
  }

  async keep(node: CheckpointNode): Promise<void> {
    const kept = await this.app.attempt(() => this.#session.call('keep-checkpoint', { id: node.id }), TEXT.keep.failed);
    if (kept !== undefined) this.app.notifications.show({ tone: 'good', title: TEXT.keep.done(node.name) });
    await this.state.load();
  }

  async persist(node: CheckpointNode): Promise<void> {
    const saved = await this.app.attempt(
      () => this.state.work(node.id, () => this.#session.call('persist-checkpoint', { id: node.id, store: 'file' })),
      TEXT.persist.failed,
    );
    if (saved !== undefined) this.app.notifications.show({ tone: 'good', title: TEXT.persist.done(node.name) });
    await this.state.load();
  }

  async delete(node: CheckpointNode, subtree: boolean): Promise<void> {
    const parent = this.state.family.parentOf(node.id);
    const result = await this.app.attempt(
      () => this.state.work(node.id, () => this.#session.call('delete-checkpoint', { id: node.id, subtree })),
      TEXT.delete.failed,
    );
    if (result === undefined) return;
    this.app.notifications.show({ tone: 'good', title: TEXT.delete.done(result.deleted.length) });
    if (this.state.selected === node.id) this.state.select(parent?.id);
    await this.state.load();
  }

  async verify(): Promise<void> {
    this.verifying = true;
    const found = await this.app.attempt(() => this.#session.call('verify', { deep: true }), TEXT.verify.failed);
    this.verifying = false;
    if (found === undefined) return;
    const { problems, checkpoints, pages } = found;
    this.app.notifications.show(
      problems.length === 0
        ? { tone: 'good', title: TEXT.verify.clean(checkpoints, formatCount(pages)) }
        : {
            tone: 'error',
            title: TEXT.verify.problems(problems.length),
            text: problems.map(problem => this.#problemText(problem)).join('\n'),
          },
    );
  }

  #problemText({ id, message }: { readonly id?: string; readonly message: string }): string {
    const name = this.state.family.get(id)?.name;
    return name === undefined ? message : `${name}: ${message}`;
  }

  /** A dialog for the place in Electron, a download in a browser. */
  async export(node: CheckpointNode): Promise<void> {
    const { app, id: machine } = this.#session;
    if (app.platform.dragOut === 'download') {
      const link = document.createElement('a');
      link.href = app.downloadUrl(machine, node.id);
      link.download = '';
      link.click();
      return;
    }
    const exported = await this.app.attempt(
      () => app.call('export-checkpoint', { machine, id: node.id }),
      TEXT.export.failed,
    );
    if (exported?.saved === undefined) return;
    this.app.notifications.show({
      tone: 'good',
      title: TEXT.export.done(exported.saved, formatBytes(exported.bytes ?? 0)),
    });
  }
}
