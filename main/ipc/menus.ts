// Menus as data, made by plain functions; the platform turns them into its own.
import type { PageCommand } from '../../preload/contract/events.ts';
import type { MachineSummary } from '../../preload/contract/library.ts';

/** What the program itself does, as the system's menus have it. */
export type MenuRole =
  | 'about'
  | 'quit'
  | 'undo'
  | 'redo'
  | 'cut'
  | 'copy'
  | 'paste'
  | 'selectAll'
  | 'minimize'
  | 'close'
  | 'togglefullscreen'
  | 'hide'
  | 'hideOthers'
  | 'unhide'
  | 'front';

export type MenuAction =
  | { readonly do: 'page'; readonly command: PageCommand; readonly machine?: string }
  | { readonly do: 'start' | 'stop' | 'quick-snapshot' | 'open'; readonly machine: string }
  | { readonly do: 'new-window' | 'show' | 'quit' };

export type MenuEntry =
  | { readonly kind: 'separator' }
  | { readonly kind: 'role'; readonly role: MenuRole }
  | { readonly kind: 'label'; readonly label: string }
  | {
      readonly kind: 'action';
      readonly id: string;
      readonly label: string;
      readonly accelerator?: string;
      readonly enabled?: boolean;
      readonly action: MenuAction;
    }
  | { readonly kind: 'submenu'; readonly label: string; readonly entries: readonly MenuEntry[] };

const SEPARATOR: MenuEntry = { kind: 'separator' };

function page(id: PageCommand, label: string, accelerator?: string): MenuEntry {
  return {
    kind: 'action',
    id,
    label,
    ...(accelerator === undefined ? {} : { accelerator }),
    action: { do: 'page', command: id },
  };
}

const role = (name: MenuRole): MenuEntry => ({ kind: 'role', role: name });

/** The application's menu. Ctrl alone belongs to the guest's console, so shortcuts beside the usual ones have Shift. */
export function applicationMenu(system: 'linux' | 'macos' | 'windows'): readonly MenuEntry[] {
  const mac = system === 'macos';
  const settings = page('settings', 'Settings…', 'CommandOrControl+,');
  const about = page('about', 'About Afterimage');
  const quit = role('quit');
  return [
    ...(mac
      ? [
          submenu('Afterimage', [
            about,
            SEPARATOR,
            settings,
            SEPARATOR,
            role('hide'),
            role('hideOthers'),
            role('unhide'),
            SEPARATOR,
            quit,
          ]),
        ]
      : []),
    submenu('File', [
      page('new-machine', 'New Machine…', 'CommandOrControl+Shift+N'),
      page('import', 'Import…', 'CommandOrControl+Shift+O'),
      SEPARATOR,
      ...(mac ? [] : [settings, SEPARATOR]),
      role('close'),
      ...(mac ? [] : [quit]),
    ]),
    submenu('Edit', [
      role('undo'),
      role('redo'),
      SEPARATOR,
      role('cut'),
      role('copy'),
      role('paste'),
      role('selectAll'),
      SEPARATOR,
      page('search', 'Find in Console…', 'CommandOrControl+Shift+F'),
    ]),
    submenu('Machine', [
      page('start', 'Start', 'CommandOrControl+Shift+R'),
      page('stop', 'Stop…'),
      SEPARATOR,
      page('checkpoint', 'Take Checkpoint', 'CommandOrControl+Shift+S'),
      SEPARATOR,
      page('show-console', 'Console', 'CommandOrControl+1'),
      page('show-tree', 'Checkpoints', 'CommandOrControl+2'),
      page('show-disks', 'Disks', 'CommandOrControl+3'),
      page('show-memory', 'Memory', 'CommandOrControl+4'),
    ]),
    submenu('View', [
      page('palette', 'Command Palette…', 'CommandOrControl+Shift+P'),
      page('activity', 'Activity', 'CommandOrControl+Shift+J'),
      SEPARATOR,
      page('zoom-in', 'Larger Console', 'CommandOrControl+='),
      page('zoom-out', 'Smaller Console', 'CommandOrControl+-'),
      page('zoom-reset', 'Usual Console Size', 'CommandOrControl+0'),
      SEPARATOR,
      role('togglefullscreen'),
    ]),
    submenu('Window', [role('minimize'), ...(mac ? [role('front')] : [])]),
    ...(mac ? [] : [submenu('Help', [about])]),
  ];
}

/** Machines that run, each with what is wanted without a window. */
export function trayMenu(machines: readonly MachineSummary[]): readonly MenuEntry[] {
  const running = machines.filter(machine => isRunning(machine));
  return [
    ...(running.length === 0 ? [{ kind: 'label', label: 'No machine is running' } as const] : []),
    ...running.map(machine =>
      submenu(menuText(machine.name), [
        action(`quick-snapshot:${machine.id}`, 'Quick Snapshot', { do: 'quick-snapshot', machine: machine.id }),
        action(`open:${machine.id}`, 'Open', { do: 'open', machine: machine.id }),
        action(`stop:${machine.id}`, 'Stop', { do: 'stop', machine: machine.id }),
      ]),
    ),
    SEPARATOR,
    action('show', 'Open Afterimage', { do: 'show' }),
    action('quit', 'Quit', { do: 'quit' }),
  ];
}

export function isRunning(machine: MachineSummary): boolean {
  const { state } = machine.status;
  return state === 'running' || state === 'paused' || state === 'starting' || state === 'stopping';
}

/** An ampersand marks a menu's access key, unless doubled. */
function menuText(name: string): string {
  return name.replaceAll('&', '&&');
}

function submenu(label: string, entries: readonly MenuEntry[]): MenuEntry {
  return { kind: 'submenu', label, entries };
}

function action(id: string, label: string, what: MenuAction): MenuEntry {
  return { kind: 'action', id, label, action: what };
}
