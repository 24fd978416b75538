// Key combinations: how they are written, shown and recognised. `Mod` is Command on macOS and Control elsewhere. They
// are recognised by the key's place where layouts differ (digits), by its character otherwise.

export type System = 'linux' | 'macos' | 'windows';

/** `Mod+Shift+S`. */
export type Keys = string;

const SHOWN: Readonly<Record<string, string>> = { ArrowUp: '↑', ArrowDown: '↓', Enter: '↵', Comma: ',' };

/** As a person of that system reads it: `⌘⇧S`, `Ctrl+Shift+S`. */
export function showKeys(keys: Keys, system: System): string {
  const parts = keys.split('+').map(part => SHOWN[part] ?? part);
  if (system !== 'macos') return parts.map(part => (part === 'Mod' ? 'Ctrl' : part)).join('+');
  const marks: Readonly<Record<string, string>> = { Mod: '⌘', Shift: '⇧', Alt: '⌥', Control: '⌃' };
  return parts.map(part => marks[part] ?? part).join('');
}

export function matches(keys: Keys, event: KeyboardEvent, system: System): boolean {
  const parts = keys.split('+');
  const key = parts.at(-1)!;
  const mod = parts.includes('Mod');
  const control = parts.includes('Control') || (mod && system !== 'macos');
  if (event.ctrlKey !== control || event.metaKey !== (mod && system === 'macos')) return false;
  // A character that needs Shift on this layout is meant as it is: `?`.
  if (event.shiftKey !== parts.includes('Shift') && key.length > 1) return false;
  if (event.shiftKey !== parts.includes('Shift') && /[a-z0-9]/i.test(key)) return false;
  if (event.altKey !== parts.includes('Alt')) return false;
  if (/^[0-9]$/.test(key)) return event.code === `Digit${key}`;
  if (key === 'Comma') return event.key === ',';
  return event.key.toLowerCase() === key.toLowerCase();
}

/** Whether the keys are typed into something, so that keys without Control or Command belong to it. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}

/** Whether a terminal has the focus, which needs most keys for the guest. */
export function inTerminal(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.closest('.xterm') !== null;
}
