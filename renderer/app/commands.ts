// What the command palette offers, and what the shortcuts do.
import type { IconName } from '../components/icons.ts';
import type { MenuItem } from '../components/menu.ts';
import type { Application } from '../state/application.svelte.ts';
import type { MachineSession } from '../state/machine-session.svelte.ts';
import { MACHINE_TABS } from '../state/router.svelte.ts';
import { STATES } from '../text/common.ts';
import { CONSOLE } from '../text/console.ts';
import { MACHINE, PALETTE, SHELL, TABS } from '../text/shell.ts';
import { inTerminal, isTyping, matches, showKeys } from './keys.ts';
import type { MachineActions } from './machine-actions.ts';
import { KEYS, type ShortcutName } from './shortcuts.ts';

export interface Command {
  readonly group: string;
  readonly text: string;
  readonly hint?: string;
  readonly icon?: IconName;
  readonly shortcut?: string;
  readonly run: () => void;
}

/** The machine that the page shows. */
export function currentMachine(application: Application): MachineSession | undefined {
  const { route } = application.router;
  return route.page === 'machine' || route.page === 'detached' ? application.machines.find(route.machine) : undefined;
}

export function paletteCommands(application: Application, actions: MachineActions): Command[] {
  const { router, dialogs, settings, machines, app } = application;
  const shown = (name: ShortcutName) => showKeys(KEYS[name], app.platform.system);
  const session = currentMachine(application);
  const commands: Command[] = [];
  if (session?.record !== undefined) {
    const add = (item: MenuItem) => {
      if (item.kind === 'line' || item.unavailable !== undefined) return;
      commands.push({ ...item, group: session.name, hint: session.name });
    };
    if (session.canCheckpoint) {
      add({
        text: MACHINE.checkpoint,
        icon: 'checkpoint',
        shortcut: shown('checkpoint'),
        run: () => void actions.checkpoint(session),
      });
    }
    for (const item of actions.menu(session)) add(item);
    if (session.screen !== undefined) {
      add({ text: CONSOLE.search, icon: 'search', shortcut: shown('search'), run: () => session.screen?.openSearch() });
      if (session.on) add({ text: CONSOLE.fit, icon: 'fit', run: () => session.screen?.fitGuest() });
    }
    for (const tab of MACHINE_TABS) {
      add({ text: PALETTE.goTo(TABS[tab]), run: () => router.openMachine(session.id, tab) });
    }
  }
  for (const one of machines.items) {
    if (one === session) continue;
    commands.push({
      group: PALETTE.groups.machines,
      text: one.name,
      hint: STATES[one.state],
      icon: 'terminal',
      run: () => router.openMachine(one.id),
    });
  }
  const theme = (choice: 'light' | 'dark' | 'system') => ({
    group: PALETTE.groups.app,
    text: PALETTE.theme[choice],
    run: () => void application.attempt(() => settings.change({ theme: choice })),
  });
  const group = PALETTE.groups.app;
  commands.push(
    {
      group,
      text: PALETTE.newMachine,
      icon: 'plus',
      shortcut: shown('newMachine'),
      run: () => dialogs.show({ kind: 'create' }),
    },
    { group, text: PALETTE.importFile, icon: 'download', run: () => void importFile(application) },
    {
      group,
      text: SHELL.library,
      icon: 'library',
      shortcut: shown('library'),
      run: () => router.go({ page: 'library' }),
    },
    { group, text: SHELL.consoles, icon: 'terminal', run: () => router.go({ page: 'consoles' }) },
    { group, text: SHELL.activity, icon: 'activity', run: () => router.go({ page: 'activity' }) },
    {
      group,
      text: SHELL.settings,
      icon: 'gear',
      shortcut: shown('settings'),
      run: () => router.go({ page: 'settings' }),
    },
    { group, text: SHELL.about, icon: 'info', run: () => router.go({ page: 'about' }) },
    {
      group,
      text: SHELL.shortcuts,
      icon: 'keyboard',
      shortcut: shown('help'),
      run: () => dialogs.show({ kind: 'shortcuts' }),
    },
    ...(['light', 'dark', 'system'] as const).filter(choice => choice !== settings.values?.theme).map(theme),
  );
  return commands;
}

/** Lets the user choose a file and shows what it holds. */
export async function importFile(application: Application): Promise<void> {
  const file = await application.attempt(() => application.app.chooseFile('any'));
  if (file !== undefined) application.dialogs.show({ kind: 'import', file });
}

/** Whether the keys were a shortcut, which is done then. */
export function handleShortcut(event: KeyboardEvent, application: Application, actions: MachineActions): boolean {
  const { app, dialogs, router, machines } = application;
  const is = (name: ShortcutName) => matches(KEYS[name], event, app.platform.system);
  const session = currentMachine(application);
  // A dialog has the window to itself.
  if (dialogs.open.length > 0) return false;
  // On macOS Command belongs to the app; elsewhere a shell needs Control+K.
  const forGuest = inTerminal(event) && app.platform.system !== 'macos';
  if ((is('palette') && !forGuest) || is('paletteInTerminal')) dialogs.show({ kind: 'palette' });
  else if (is('newMachine')) dialogs.show({ kind: 'create' });
  else if (is('library')) router.go({ page: 'library' });
  else if (is('settings')) router.go({ page: 'settings' });
  else if (is('help') && !isTyping(event)) dialogs.show({ kind: 'shortcuts' });
  else if (is('previousMachine') || is('nextMachine')) {
    const at = session === undefined ? -1 : machines.items.indexOf(session);
    const to = machines.items.at((at + (is('nextMachine') ? 1 : -1)) % Math.max(1, machines.items.length));
    if (to !== undefined) router.openMachine(to.id);
  } else if (session?.record === undefined) return false;
  else if (is('checkpoint')) void actions.checkpoint(session);
  else if (is('detach')) void actions.detach(session);
  else if (is('search') && session.screen !== undefined) session.screen.openSearch();
  else if (is('start')) {
    if (!session.on) void actions.start(session);
    else if (session.status.state === 'paused') void actions.resume(session);
    else if (session.status.state === 'running') void actions.pause(session);
  } else {
    const tab = MACHINE_TABS.findIndex((_, index) => is(`tab${index + 1}` as ShortcutName));
    if (tab === -1 || router.route.page === 'detached') return false;
    router.openMachine(session.id, MACHINE_TABS[tab]!);
  }
  return true;
}
