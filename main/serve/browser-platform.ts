// What a browser host has of a platform: its pages do the rest themselves.
import path from 'node:path';
import type { Notification, Platform } from '../ipc/platform.ts';
import { systemOf } from '../ipc/system.ts';

export interface BrowserPlatformParts {
  readonly dataFolder: string;
  /** Shows the address to the user once more. */
  readonly showAddress: () => void;
  readonly quit: () => void;
  readonly print: (text: string) => void;
}

export function browserPlatform({ dataFolder, showAddress, quit, print }: BrowserPlatformParts): Platform {
  return {
    facts: {
      host: 'browser',
      system: systemOf(process.platform),
      canReveal: false,
      dragOut: 'download',
      notifications: false,
      globalShortcut: false,
      tray: false,
    },
    versions: { node: process.versions.node },
    dataFolder,
    // Of this process alone: several hosts may serve one library.
    temporaryFolder: path.join(dataFolder, 'temporary', String(process.pid)),
    chooseFile: async () => undefined,
    chooseSave: async () => undefined,
    // There is nobody to ask: the answer that changes nothing.
    ask: async question => question.answers.length - 1,
    notify: ({ title, text }: Notification) => print(`${title}: ${text}`),
    trash: async () => false,
    reveal: () => {},
    openExternal: async () => {},
    openConsole: () => {},
    showWindow: async () => showAddress(),
    startDrag: () => {},
    setTray: () => {},
    setShortcut: accelerator => accelerator === '',
    setTheme: () => {},
    quit,
  };
}
