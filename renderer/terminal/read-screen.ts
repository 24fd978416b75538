import type { Terminal } from '@xterm/xterm';
import type { ScreenText } from '../../engine/api/checkpoints.ts';

/** Of engine/api/checkpoints.ts. */
const LONGEST_LINE = 4096;

/** What the terminal shows at its end, scrolled up or not; spaces at line ends only before the cursor. */
export function readScreen(terminal: Terminal): ScreenText {
  const buffer = terminal.buffer.active;
  const lines: string[] = [];
  for (let row = 0; row < terminal.rows; row += 1) {
    const line = buffer.getLine(buffer.baseY + row);
    const text = line?.translateToString(true) ?? '';
    lines.push((row === buffer.cursorY ? text.padEnd(buffer.cursorX) : text).slice(0, LONGEST_LINE));
  }
  while (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return { columns: terminal.cols, rows: terminal.rows, lines };
}
