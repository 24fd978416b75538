// Names of what Electron carries between a window and main. A console's port travels with the first message on CONSOLE;
// what is said on the port is console.ts's, after one `opened`.
import type { PlainError } from '../../engine/base/errors.ts';
import type { ConsoleMessage } from './console.ts';

export const CHANNELS = {
  call: 'afterimage:call',
  event: 'afterimage:event',
  console: 'afterimage:console',
  chooseFile: 'afterimage:choose-file',
  droppedFile: 'afterimage:dropped-file',
} as const;

/** Argument of the window's process that carries PlatformFacts as JSON. */
export const FACTS_ARGUMENT = '--afterimage-platform=';

/** To the page, on a console's port. */
export type PortMessage = ConsoleMessage | { readonly kind: 'opened'; readonly error?: PlainError };
