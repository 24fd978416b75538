import { describe, expect, it } from 'vitest';
import { ScreenModes } from './screen-modes.ts';

function undoAfter(...parts: string[]): string {
  const modes = new ScreenModes();
  for (const part of parts) modes.feed(Buffer.from(part, 'latin1'));
  return modes.undo();
}

describe('ScreenModes', () => {
  it('has nothing to undo after plain output, and after programs that clean up', () => {
    expect(undoAfter('hello\r\n', '\x1b[2J\x1b[1;1H\x1b[K')).toBe('');
    expect(undoAfter('\x1b[?1049h\x1b[?25l\x1b[31mred\x1b[0m\x1b[?25h\x1b[?1049l')).toBe('');
  });

  it('undoes what was left behind', () => {
    expect(undoAfter('\x1b[?1049h\x1b[?25l')).toBe('\x1b[?1049l\x1b[?25h');
    expect(undoAfter('\x1b[?1000;1006h')).toBe('\x1b[?1000l\x1b[?1006l');
    expect(undoAfter('\x1b[?7l')).toBe('\x1b[?7h');
    expect(undoAfter('\x1b[1;31mred')).toBe('\x1b[0m');
  });

  it('follows sequences across chunks', () => {
    expect(undoAfter('text\x1b', '[', '?10', '49', 'h text')).toBe('\x1b[?1049l');
  });

  it('is not led astray by broken sequences', () => {
    expect(undoAfter('\x1b[?104\x1b[?25l')).toBe('\x1b[?25h');
    expect(undoAfter('\x1b[?;h', '\x1b[?99999h', '\x1bc', '\x1b[h', '\x1b]0;title\x07')).toBe('');
    expect(undoAfter(`\x1b[?${'1'.repeat(100)}h`)).toBe('');
  });

  it('remembers a bounded number of modes', () => {
    const all = Array.from({ length: 9999 }, (_, mode) => `\x1b[?${mode}h`);
    expect(undoAfter(...all).match(/\?/g)).toHaveLength(64);
  });
});
