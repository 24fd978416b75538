// Every shortcut of the app in one table: what the window listens to, what menus and tooltips show, what the help lists.
import type { Keys } from './keys.ts';

export const KEYS = {
  /** Also `paletteInTerminal`, because a shell needs Control+K. */
  palette: 'Mod+K',
  paletteInTerminal: 'Mod+Shift+P',
  newMachine: 'Mod+Shift+N',
  library: 'Mod+Shift+L',
  settings: 'Mod+Comma',
  help: '?',
  checkpoint: 'Mod+Shift+S',
  start: 'Mod+Shift+Enter',
  tab1: 'Mod+Shift+1',
  tab2: 'Mod+Shift+2',
  tab3: 'Mod+Shift+3',
  tab4: 'Mod+Shift+4',
  tab5: 'Mod+Shift+5',
  previousMachine: 'Mod+Shift+ArrowUp',
  nextMachine: 'Mod+Shift+ArrowDown',
  detach: 'Mod+Shift+D',
  search: 'Mod+Shift+F',
  copy: 'Mod+Shift+C',
  paste: 'Mod+Shift+V',
} as const satisfies Record<string, Keys>;

export type ShortcutName = keyof typeof KEYS;

/** What the help shows, in its order. */
export const HELP: readonly {
  readonly group: 'everywhere' | 'machine' | 'console';
  readonly name: ShortcutName;
  readonly text: string;
}[] = [
  { group: 'everywhere', name: 'palette', text: 'Command palette' },
  { group: 'everywhere', name: 'paletteInTerminal', text: 'Command palette, from a console too' },
  { group: 'everywhere', name: 'newMachine', text: 'New machine' },
  { group: 'everywhere', name: 'library', text: 'All machines' },
  { group: 'everywhere', name: 'previousMachine', text: 'Previous machine' },
  { group: 'everywhere', name: 'nextMachine', text: 'Next machine' },
  { group: 'everywhere', name: 'settings', text: 'Settings' },
  { group: 'everywhere', name: 'help', text: 'This list' },
  { group: 'machine', name: 'checkpoint', text: 'Take a checkpoint' },
  { group: 'machine', name: 'start', text: 'Start, pause or resume' },
  { group: 'machine', name: 'tab1', text: 'Console' },
  { group: 'machine', name: 'tab2', text: 'Checkpoints' },
  { group: 'machine', name: 'tab3', text: 'Disks' },
  { group: 'machine', name: 'tab4', text: 'Memory' },
  { group: 'machine', name: 'tab5', text: 'Activity' },
  { group: 'console', name: 'search', text: 'Search the console' },
  { group: 'console', name: 'copy', text: 'Copy' },
  { group: 'console', name: 'paste', text: 'Paste' },
  { group: 'console', name: 'detach', text: 'Open the console in its own window' },
];
