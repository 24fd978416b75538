// What the app needs of the program it lives in: Electron, or the browser host. Everything else runs in both alike, and
// in tests.

import type { PlatformFacts } from '../../preload/contract/afterimage.ts';
import type { FilePurpose } from '../../preload/contract/files.ts';
import type { MenuEntry } from './menus.ts';

/** One page: a window, or a tab of a browser. Handlers know pages only by this. */
export interface Page {
  readonly id: number;
}

export interface Question {
  readonly title: string;
  readonly detail: string;
  /** Labels; the last is what Escape means. */
  readonly answers: readonly string[];
}

export interface Notification {
  readonly title: string;
  readonly text: string;
  /** When the user clicks it. */
  readonly activate?: () => void;
}

export interface Platform {
  readonly facts: PlatformFacts;
  /** For the about view: `electron`, `chromium`, `node`. */
  readonly versions: Readonly<Record<string, string>>;
  /** Where settings and history are kept. */
  readonly dataFolder: string;
  /** Where files are made that are handed out, and uploads wait; emptied at the start. */
  readonly temporaryFolder: string;
  /** A path, or undefined when the user chose nothing. */
  chooseFile(purpose: FilePurpose, page: Page): Promise<string | undefined>;
  chooseSave(suggestedName: string, page: Page): Promise<string | undefined>;
  /** The index of the answer. */
  ask(question: Question, page?: Page): Promise<number>;
  notify(notification: Notification): void;
  /** False where there is no trash; then nothing has happened. */
  trash(path: string): Promise<boolean>;
  reveal(path: string): void;
  openExternal(url: string): Promise<void>;
  /** A window for one console. */
  openConsole(machine: string, title: string): void;
  /** Brings a main window to the front, making one if there is none; fulfilled when its page listens. */
  showWindow(): Promise<void>;
  /** Hands a file to the system's drag and drop. */
  startDrag(page: Page, file: string): void;
  setTray(entries: readonly MenuEntry[]): void;
  /** Replaces the former one; false when the accelerator is taken or cannot be. Empty for none. */
  setShortcut(accelerator: string, action: () => void): boolean;
  setTheme(theme: 'system' | 'light' | 'dark'): void;
  quit(): void;
}
