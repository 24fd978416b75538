// Menus as data: what a button's menu, a context menu and the command palette show.
import type { IconName } from './icons.ts';

export interface MenuAction {
  readonly kind?: 'action';
  readonly text: string;
  readonly icon?: IconName;
  readonly shortcut?: string;
  /** Why it cannot be done now; shown below the text. Such an action cannot be chosen. */
  readonly unavailable?: string | undefined;
  readonly danger?: boolean;
  /** A choice that is on. */
  readonly checked?: boolean;
  readonly run: () => void;
}

export interface MenuLine {
  readonly kind: 'line';
}

export type MenuItem = MenuAction | MenuLine;

export const LINE: MenuLine = { kind: 'line' };

/** Where a menu opens: below an element, or at a point of the window. */
export type MenuPlace = HTMLElement | { readonly x: number; readonly y: number };
