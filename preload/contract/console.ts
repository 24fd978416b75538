// A console's own port: bytes with flow control both ways, apart from calls and events.

import * as v from 'valibot';
import type { ConsoleSize } from '../../engine/api/settings.ts';
import { consoleSize, count } from './shapes.ts';

/** Bytes of output that the host sends ahead of `taken`. */
export const CONSOLE_WINDOW = 512 * 1024;
/** Bytes of input that a page sends ahead of `accepted`. */
export const CONSOLE_INPUT_WINDOW = 64 * 1024;
/** Bytes of earlier output that a new port gets first. */
export const CONSOLE_SCROLLBACK = 256 * 1024;

/** From the page. */
export const consoleRequest = v.union([
  v.strictObject({
    kind: v.literal('input'),
    bytes: v.pipe(
      v.instance(Uint8Array),
      v.check(bytes => bytes.length <= CONSOLE_INPUT_WINDOW, 'Too long'),
    ),
  }),
  v.strictObject({ kind: v.literal('taken'), count }),
  v.strictObject({ kind: v.literal('resize'), size: consoleSize }),
]);
export type ConsoleRequest = v.InferOutput<typeof consoleRequest>;

/** To the page. */
export type ConsoleMessage =
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  /** So many more bytes of input are in the machine's queue. */
  | { readonly kind: 'accepted'; readonly count: number }
  /** The machine is off or out of reach; the port stays open and goes on when it runs again. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'running' };

/** What a terminal gets. One listener of each kind. */
export interface ConsolePort {
  /** Each chunk is to be reported by `taken` when it has been shown, or the machine's output stops. */
  onOutput(listener: (bytes: Uint8Array) => void): void;
  onState(listener: (state: 'running' | 'idle') => void): void;
  taken(count: number): void;
  /** Fulfilled when the machine's queue has the bytes: wait for it before more of a long paste. */
  write(bytes: Uint8Array): Promise<void>;
  resize(size: ConsoleSize): void;
  close(): void;
}
