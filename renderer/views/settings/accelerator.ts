// Keys of the whole system, as Electron writes them: `CommandOrControl+Alt+S`.
import { showKeys } from '../../app/keys.ts';

type System = 'linux' | 'macos' | 'windows';

/** Undefined for keys that would take a character away from every other program, and for modifiers alone. */
export function accelerator(event: KeyboardEvent, system: System): string | undefined {
  const key = /^Key[A-Z]$/.test(event.code)
    ? event.code.slice(3)
    : /^Digit\d$/.test(event.code)
      ? event.code.slice(5)
      : /^F\d{1,2}$/.test(event.key)
        ? event.key
        : undefined;
  if (key === undefined) return undefined;
  const primary = system === 'macos' ? event.metaKey : event.ctrlKey;
  if (!primary && !event.altKey && !/^F\d/.test(key)) return undefined;
  const parts = [
    primary ? 'CommandOrControl' : undefined,
    event.altKey ? 'Alt' : undefined,
    event.shiftKey ? 'Shift' : undefined,
    key,
  ];
  return parts.filter(part => part !== undefined).join('+');
}

export function showAccelerator(value: string, system: System): string {
  return showKeys(value.replace(/CommandOrControl|CmdOrCtrl/, 'Mod'), system);
}
