// A platform that only remembers, for tests.
import type { MenuEntry } from './menus.ts';
import type { Notification, Platform, Question } from './platform.ts';

export class FakePlatform {
  readonly notifications: Notification[] = [];
  readonly questions: Question[] = [];
  readonly opened: string[] = [];
  readonly trashed: string[] = [];
  readonly dragged: string[] = [];
  readonly revealed: string[] = [];
  readonly consoles: string[] = [];
  tray: readonly MenuEntry[] = [];
  shortcut: { readonly accelerator: string; readonly action: () => void } | undefined;
  shown = 0;
  quits = 0;
  theme = '';
  /** What the next question is answered with. */
  answer = 0;
  saveTo: string | undefined;

  platform(folder: string, facts: Partial<Platform['facts']> = {}): Platform {
    return {
      facts: {
        host: 'electron',
        system: 'linux',
        canReveal: true,
        dragOut: 'native',
        notifications: true,
        globalShortcut: true,
        tray: true,
        ...facts,
      },
      versions: { node: process.versions.node },
      dataFolder: `${folder}/data`,
      temporaryFolder: `${folder}/temporary`,
      chooseFile: async () => undefined,
      chooseSave: async () => this.saveTo,
      ask: async question => {
        this.questions.push(question);
        return this.answer;
      },
      notify: notification => void this.notifications.push(notification),
      trash: async path => this.trashed.push(path) > 0,
      reveal: path => void this.revealed.push(path),
      openExternal: async url => void this.opened.push(url),
      openConsole: machine => void this.consoles.push(machine),
      showWindow: async () => {
        this.shown += 1;
      },
      startDrag: (_page, file) => void this.dragged.push(file),
      setTray: entries => {
        this.tray = entries;
      },
      setShortcut: (accelerator, action) => {
        this.shortcut = { accelerator, action };
        return true;
      },
      setTheme: theme => {
        this.theme = theme;
      },
      quit: () => {
        this.quits += 1;
      },
    };
  }
}
