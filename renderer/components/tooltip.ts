// One tooltip for the whole window: shown after a moment of rest or at once on keyboard focus, gone at any key or press.
import type { Attachment } from 'svelte/attachments';

/** Long enough that moving across a tool bar shows nothing. */
const REST_MILLISECONDS = 450;

let shown: HTMLElement | undefined;
let waiting: number | undefined;

function hide(): void {
  clearTimeout(waiting);
  shown?.remove();
  shown = undefined;
}

function show(target: HTMLElement, text: string, shortcut: string | undefined): void {
  hide();
  if (!target.isConnected) return;
  const tip = document.createElement('div');
  tip.className = 'tooltip';
  // The label is there for screen readers already.
  tip.setAttribute('aria-hidden', 'true');
  tip.popover = 'manual';
  tip.append(text);
  if (shortcut !== undefined) {
    const keys = document.createElement('kbd');
    keys.textContent = shortcut;
    tip.append(keys);
  }
  document.body.append(tip);
  tip.showPopover();
  const around = target.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const below = around.bottom + 6 + own.height < innerHeight;
  const left = Math.max(4, Math.min(innerWidth - own.width - 4, around.left + (around.width - own.width) / 2));
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? around.bottom + 6 : around.top - own.height - 6}px`;
  shown = tip;
}

/** `{@attach tooltip('Search', 'Ctrl+F')}`. */
export function tooltip(text: string | undefined, shortcut?: string): Attachment<HTMLElement> {
  return element => {
    if (text === undefined || text === '') return;
    const rest = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => show(element, text, shortcut), REST_MILLISECONDS);
    };
    const focus = () => {
      if (element.matches(':focus-visible')) rest();
    };
    const stop = new AbortController();
    const options = { signal: stop.signal, passive: true };
    element.addEventListener('pointerenter', rest, options);
    element.addEventListener('focus', focus, options);
    for (const event of ['pointerleave', 'pointerdown', 'blur', 'keydown'] as const) {
      element.addEventListener(event, hide, options);
    }
    return () => {
      stop.abort();
      hide();
    };
  };
}
