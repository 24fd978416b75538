// What a user can do with a machine, whichever of header, card, menu, palette or shortcut it comes from.
import type { TakeArguments } from '../../engine/api/checkpoints.ts';
import { LINE, type MenuItem } from '../components/menu.ts';
import type { Application } from '../state/application.svelte.ts';
import type { MachineSession } from '../state/machine-session.svelte.ts';
import { COMMON } from '../text/common.ts';
import { formatBytes, formatDuration, formatPause } from '../text/format.ts';
import { MACHINE } from '../text/shell.ts';
import { showKeys } from './keys.ts';
import { KEYS } from './shortcuts.ts';

/** As long as an idle Debian takes several times over; then the user is offered force. */
const STOP_SECONDS = 30;

export class MachineActions {
  readonly #application: Application;

  constructor(application: Application) {
    this.#application = application;
  }

  async start(session: MachineSession, fresh = false): Promise<void> {
    const { notifications } = this.#application;
    // What was told of an attempt before is answered by this one.
    notifications.withdraw(`notice/${session.id}/`);
    notifications.withdraw(`${MACHINE.startFailed}/`);
    await this.#application.attempt(() => session.call('start', fresh ? { fresh } : {}), MACHINE.startFailed);
  }

  /** Asks the guest; when it does not follow, offers force. */
  async stop(session: MachineSession): Promise<void> {
    const { notifications } = this.#application;
    try {
      const status = await session.call('stop', { timeoutSeconds: STOP_SECONDS });
      if (status.state === 'off' || status.state === 'failed' || status.state === 'stopping') return;
    } catch (error) {
      if (!session.on) return;
      this.#application.report(error, MACHINE.stopFailed);
    }
    notifications.show({
      tone: 'warning',
      title: MACHINE.stopSlow,
      text: MACHINE.stopSlowText,
      action: { text: MACHINE.forceOff, run: () => void this.forceOff(session) },
      key: `stop/${session.id}`,
    });
  }

  async forceOff(session: MachineSession): Promise<void> {
    const { title, text, confirm } = MACHINE.askForceOff;
    const yes = await this.#application.dialogs.confirm({ title: title(session.name), text, confirm, danger: true });
    if (yes) await this.#application.attempt(() => session.call('stop', { force: true }), MACHINE.stopFailed);
  }

  async restart(session: MachineSession): Promise<void> {
    const { title, text, confirm } = MACHINE.askRestart;
    const yes = await this.#application.dialogs.confirm({ title: title(session.name), text, confirm, danger: true });
    if (yes) await this.#application.attempt(() => session.call('reset', {}), MACHINE.actionFailed);
  }

  pause(session: MachineSession): Promise<unknown> {
    return this.#application.attempt(() => session.call('pause', {}), MACHINE.actionFailed);
  }

  resume(session: MachineSession): Promise<unknown> {
    return this.#application.attempt(() => session.call('resume', {}), MACHINE.actionFailed);
  }

  suspend(session: MachineSession): Promise<unknown> {
    return this.#application.attempt(() => session.call('suspend', {}), MACHINE.actionFailed);
  }

  async checkpoint(session: MachineSession, arguments_: TakeArguments = {}): Promise<void> {
    const { notifications, router } = this.#application;
    if (!session.canCheckpoint) return;
    const key = `checkpoint/${session.id}`;
    try {
      const taken = await session.checkpoint(arguments_);
      const { pauseMicroseconds, bytes, durationMilliseconds } = taken;
      notifications.show({
        tone: 'good',
        title: MACHINE.taken(taken.name),
        figures: MACHINE.takenFigures(
          formatPause(pauseMicroseconds),
          formatBytes(bytes),
          formatDuration(durationMilliseconds),
        ),
        action: { text: COMMON.show, run: () => router.openMachine(session.id, 'checkpoints') },
        key,
      });
    } catch (error) {
      this.#application.report(error, MACHINE.checkpointFailed);
    }
  }

  cancelCheckpoint(session: MachineSession): Promise<unknown> {
    return this.#application.attempt(() => session.call('cancel-checkpoint', {}), MACHINE.actionFailed);
  }

  async rename(session: MachineSession): Promise<void> {
    const before = session.name;
    const { title, label, confirm } = MACHINE.askRename;
    const name = await this.#application.dialogs.ask({ title, label, confirm, value: before, maxlength: 100 });
    if (name === undefined || name === before) return;
    const set = (to: string) =>
      this.#application.attempt(
        () => this.#application.app.call('rename-machine', { machine: session.id, name: to }),
        MACHINE.actionFailed,
      );
    if ((await set(name)) === undefined) return;
    this.#application.notifications.show({
      title: MACHINE.renamed(name),
      action: { text: COMMON.undo, run: () => void set(before) },
    });
  }

  async duplicate(session: MachineSession): Promise<void> {
    const { title, label, hint, confirm, name: usual } = MACHINE.askDuplicate;
    const { app, dialogs, notifications, router } = this.#application;
    const value = usual(session.name).slice(0, 100);
    const name = await dialogs.ask({ title, label, hint, confirm, value, maxlength: 100 });
    if (name === undefined) return;
    const made = await this.#application.attempt(
      () => app.call('duplicate-machine', { machine: session.id, name }),
      MACHINE.actionFailed,
    );
    if (made === undefined) return;
    notifications.show({
      tone: 'good',
      title: MACHINE.duplicated(name),
      action: { text: MACHINE.open, run: () => router.openMachine(made.machine) },
    });
  }

  remove(session: MachineSession): void {
    this.#application.dialogs.show({ kind: 'delete', machine: session.id });
  }

  reveal(session: MachineSession): Promise<unknown> {
    return this.#application.attempt(
      () => this.#application.app.call('reveal-machine', { machine: session.id }),
      MACHINE.actionFailed,
    );
  }

  detach(session: MachineSession): Promise<unknown> {
    return this.#application.attempt(
      () => this.#application.app.call('detach-console', { machine: session.id }),
      MACHINE.actionFailed,
    );
  }

  /** Power, as far as the state allows it. */
  powerItems(session: MachineSession): MenuItem[] {
    const { state } = session.status;
    if (!session.on) {
      return [
        { text: session.suspended ? MACHINE.resume : MACHINE.start, icon: 'play', run: () => void this.start(session) },
        ...(session.suspended
          ? [{ text: MACHINE.startFresh, icon: 'power' as const, run: () => void this.start(session, true) }]
          : []),
      ];
    }
    const paused = state === 'paused';
    return [
      paused
        ? { text: MACHINE.resume, icon: 'play', run: () => void this.resume(session) }
        : { text: MACHINE.pause, icon: 'pause', run: () => void this.pause(session) },
      { text: MACHINE.suspend, icon: 'suspend', run: () => void this.suspend(session) },
      {
        text: MACHINE.stop,
        icon: 'power',
        unavailable: paused ? MACHINE.onlyRunning : undefined,
        run: () => void this.stop(session),
      },
      LINE,
      { text: MACHINE.restart, icon: 'restart', run: () => void this.restart(session) },
      { text: MACHINE.forceOff, icon: 'stop', danger: true, run: () => void this.forceOff(session) },
    ];
  }

  checkpointItem(session: MachineSession): MenuItem {
    const unavailable = !session.on ? MACHINE.onlyOn : session.status.taking ? MACHINE.takingNow : undefined;
    return {
      text: MACHINE.checkpointNamed,
      icon: 'checkpoint',
      unavailable,
      run: () => this.#application.dialogs.show({ kind: 'checkpoint', machine: session.id }),
    };
  }

  /** Everything but power. */
  manageItems(session: MachineSession): MenuItem[] {
    const { platform } = this.#application.app;
    const onlyOff = session.on ? MACHINE.onlyOff : undefined;
    return [
      {
        text: MACHINE.detach,
        icon: 'detach',
        shortcut: showKeys(KEYS.detach, platform.system),
        run: () => void this.detach(session),
      },
      ...(platform.canReveal
        ? [{ text: MACHINE.reveal, icon: 'folder' as const, run: () => void this.reveal(session) }]
        : []),
      LINE,
      {
        text: MACHINE.configure,
        icon: 'gear',
        run: () => this.#application.dialogs.show({ kind: 'configure', machine: session.id }),
      },
      { text: MACHINE.rename, icon: 'edit', run: () => void this.rename(session) },
      { text: MACHINE.duplicate, icon: 'copy', unavailable: onlyOff, run: () => void this.duplicate(session) },
      { text: MACHINE.remove, icon: 'trash', danger: true, run: () => this.remove(session) },
    ];
  }

  menu(session: MachineSession): MenuItem[] {
    if (session.record === undefined) return this.manageItems(session).slice(-1);
    return [...this.powerItems(session), LINE, this.checkpointItem(session), ...this.manageItems(session)];
  }
}
