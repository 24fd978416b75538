// The one context menu of the window; `ContextMenu.svelte` in the shell draws it.
import type { MenuItem, MenuPlace } from './menu.ts';

interface OpenMenu {
  readonly label: string;
  readonly items: readonly MenuItem[];
  readonly place: MenuPlace;
}

class ContextMenu {
  #open = $state.raw<OpenMenu>();

  get open(): OpenMenu | undefined {
    return this.#open;
  }

  /** At the pointer, or below the element when it was asked for by keyboard. */
  show(event: MouseEvent, label: string, items: readonly MenuItem[]): void {
    event.preventDefault();
    const byKeyboard = event.clientX === 0 && event.clientY === 0 && event.currentTarget instanceof HTMLElement;
    this.#open = {
      label,
      items,
      place: byKeyboard ? (event.currentTarget as HTMLElement) : { x: event.clientX, y: event.clientY },
    };
  }

  close(): void {
    this.#open = undefined;
  }
}

export const contextMenu = new ContextMenu();
