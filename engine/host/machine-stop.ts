// Asking a guest to power off, the way a person at its console would.
import type { ScreenText } from '../api/checkpoints.ts';
import type { ConsoleSize } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { ConsoleHub } from './console-hub.ts';

/** The default guest's shell, wherever it stands. */
const PROMPT = /(?:^|[\r\n])root@afterimage:[^\r\n]{0,200}# ?$/;
/** What comes between what a shell prints: colours, titles, bracketed paste. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_=>])/g;
/** What the kernel prints comes between a prompt and what is typed at it. */
const KERNEL_MESSAGES = /\[ *\d+\.\d{6}\] [^\r\n]*(?:[\r\n]+|$)/g;
const ENOUGH = 16 * 1024;

/** Text without what steers a terminal. */
export function withoutEscapes(text: string): string {
  return text.replaceAll(ESCAPES, '');
}

/** Whether the default guest's shell waits for a command, with nothing typed. */
export function isAtPrompt(console: Pick<ConsoleHub, 'recent'>): boolean {
  const text = withoutEscapes(new TextDecoder().decode(console.recent(ENOUGH)));
  return PROMPT.test(text.replaceAll(KERNEL_MESSAGES, ''));
}

const USUAL_SIZE: ConsoleSize = { rows: 24, columns: 80 };
const LONGEST_LINE = 4096;
const MOST_LINES = 500;

/** The last lines of output, for a thumbnail when nobody draws the console. */
export function screenOf(console: ConsoleHub, size: ConsoleSize = USUAL_SIZE): ScreenText {
  const { rows, columns } = size;
  const text = withoutEscapes(new TextDecoder().decode(console.recent(Math.min(64 * 1024, rows * columns * 4))));
  const lines = text.split(/\r?\n/).slice(-Math.min(rows, MOST_LINES));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is left of them is not shown
  const plain = lines.map(line => line.replace(/^.*\r(?!$)/, '').replaceAll(/[\u0000-\u001f\u007f]/g, ''));
  return { rows, columns, lines: plain.map(line => line.slice(0, Math.min(columns, LONGEST_LINE)).toWellFormed()) };
}

/** What shows a screen again, on a terminal that shows something else, perhaps in modes that what it shows has set. */
export function screenOutput({ lines }: ScreenText): Uint8Array {
  const end = lines.findLastIndex(line => line.trim() !== '') + 1;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: text from a file does not steer the terminal
  const plain = lines.slice(0, end).map(line => line.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' '));
  return new TextEncoder().encode(`\u001b[!p\u001b[?1049l\u001b[?2004l\u001b[0m\u001b[2J\u001b[H${plain.join('\r\n')}`);
}

export interface PowerOffParts {
  readonly console: ConsoleHub;
  /** Resolves when the machine is off. */
  readonly over: Promise<void>;
  readonly timeoutSeconds: number;
}

/** @throws AfterimageError `state` when the guest cannot be asked to power off */
export function refuseUnlessAtPrompt(console: ConsoleHub): void {
  if (isAtPrompt(console)) return;
  throw new AfterimageError(
    'state',
    'The guest cannot be asked to power off: its shell does not wait for a command; force it off instead',
  );
}

/** @throws AfterimageError `state` when the guest cannot be asked or does not do it in time; then it goes on */
export async function askToPowerOff({ console, over, timeoutSeconds }: PowerOffParts): Promise<void> {
  refuseUnlessAtPrompt(console);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(() => resolve('late'), timeoutSeconds * 1000);
  });
  try {
    const typed = console.input(new TextEncoder().encode('poweroff\n')).then(
      () => over,
      () => over,
    );
    if ((await Promise.race([typed, late])) !== 'late') return;
  } finally {
    clearTimeout(timer);
  }
  throw new AfterimageError(
    'state',
    `The guest did not power off within ${timeoutSeconds} seconds; force it off instead`,
  );
}
