export const SETTINGS = {
  title: 'Settings',
  appearance: 'Appearance',
  theme: 'Theme',
  themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
  console: 'Console',
  fontSize: 'Text size',
  scrollback: 'Lines kept for scrolling back',
  copyOnSelect: 'Copy what is selected',
  copyOnSelectHint: 'At once, without a key.',
  machines: 'Machines',
  onQuit: 'On quit',
  onQuitChoices: { suspend: 'Suspend running machines', stop: 'Shut them down', ask: 'Ask' },
  onQuitHint: 'A suspended machine goes on where it was when it is started again.',
  onSleep: 'Before the computer sleeps',
  onSleepChoices: {
    nothing: 'Do nothing',
    checkpoint: 'Take a checkpoint of each',
    suspend: 'Suspend running machines',
  },
  keepInTray: 'Keep running without a window',
  keepInTrayHint: 'Closing the last window leaves machines on; the tray brings it back.',
  notifications: 'Notifications of the system',
  shortcut: 'Quick snapshot',
  shortcutHint: 'Works in every program. Press the keys, or Backspace for none.',
  noShortcut: 'None',
  pressKeys: 'Press keys…',
  folder: 'Folder of the machines',
  folderHint: 'Another one with --library or AFTERIMAGE_LIBRARY.',
  failed: 'The setting could not be kept',
} as const;

export const ABOUT = {
  title: 'About',
  tagline: 'RISC-V machines that can be kept at any moment while they run.',
  version: 'Version',
  system: 'System',
  folder: 'Machines',
  isa: 'Processor',
  own: 'Made of its own engine, with Svelte, xterm.js and Electron.',
  copy: 'Copy details',
  /** What it calls itself, for the versions that a host tells. */
  program: (name: string) => PROGRAMS[name] ?? name,
} as const;

const PROGRAMS: Readonly<Record<string, string>> = { electron: 'Electron', chromium: 'Chromium', node: 'Node.js' };
