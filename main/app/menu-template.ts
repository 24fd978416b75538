import type { MenuItemConstructorOptions } from 'electron';
import type { MenuAction, MenuEntry } from '../ipc/menus.ts';

/** Menus as data in Electron's shape. */
export function menuTemplate(
  entries: readonly MenuEntry[],
  perform: (action: MenuAction) => void,
): MenuItemConstructorOptions[] {
  return entries.map(entry => itemOf(entry, perform));
}

function itemOf(entry: MenuEntry, perform: (action: MenuAction) => void): MenuItemConstructorOptions {
  switch (entry.kind) {
    case 'separator':
      return { type: 'separator' };
    case 'role':
      return { role: entry.role };
    case 'label':
      return { label: entry.label, enabled: false };
    case 'submenu':
      return { label: entry.label, submenu: menuTemplate(entry.entries, perform) };
    case 'action': {
      const { id, label, accelerator, enabled, action } = entry;
      return {
        id,
        label,
        ...(accelerator === undefined ? {} : { accelerator }),
        ...(enabled === undefined ? {} : { enabled }),
        click: () => perform(action),
      };
    }
  }
}
