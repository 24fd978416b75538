// How the browser host and its page speak: calls and events as JSON (bytes as engine/api/control-wire.ts has them),
// console bytes as binary messages that begin with the number of their console.
import * as v from 'valibot';
import type { PlainError } from '../../engine/base/errors.ts';
import type { Answer } from './afterimage.ts';
import type { ConsoleMessage } from './console.ts';
import type { AppEvent } from './events.ts';
import { consoleSize, count, identity } from './shapes.ts';

/** Paths of the host beside the page's own files. */
export const PATHS = { session: '/session', socket: '/socket', upload: '/upload', download: '/download' } as const;

/** Where the address of a fresh page carries its token. Fragments are never sent to a server. */
export const TOKEN_PREFIX = '#token=';

/** Where a page's storage keeps what lets it in at the next run of its host; storage is the page's origin's alone. */
export const PASS_KEY = 'afterimage-pass';

/** Longest message that a page sends: a screen for a thumbnail is the longest. */
export const LONGEST_SOCKET_MESSAGE = 4 * 1024 * 1024;

const consoleNumber = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));

/** From the page. */
export const socketRequest = v.variant('kind', [
  v.strictObject({ kind: v.literal('call'), id: count, name: v.string(), arguments: v.unknown() }),
  v.strictObject({ kind: v.literal('console-open'), console: consoleNumber, machine: identity }),
  v.strictObject({ kind: v.literal('console-taken'), console: consoleNumber, count }),
  v.strictObject({ kind: v.literal('console-resize'), console: consoleNumber, size: consoleSize }),
  v.strictObject({ kind: v.literal('console-close'), console: consoleNumber }),
]);
export type SocketRequest = v.InferOutput<typeof socketRequest>;

/** To the page. */
export type SocketMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'event'; readonly event: AppEvent }
  | { readonly kind: 'console-opened'; readonly console: number; readonly error?: PlainError }
  | {
      readonly kind: 'console';
      readonly console: number;
      readonly message: Exclude<ConsoleMessage, { readonly kind: 'output' }>;
    };

const NUMBER_BYTES = 4;

/** A binary message: which console, and bytes for it or of it. */
export function packConsoleBytes(console: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(NUMBER_BYTES + bytes.length);
  new DataView(packed.buffer).setUint32(0, console, true);
  packed.set(bytes, NUMBER_BYTES);
  return packed;
}

/** Undefined for what is too short to be one. */
export function unpackConsoleBytes(packed: Uint8Array): { console: number; bytes: Uint8Array } | undefined {
  if (packed.length < NUMBER_BYTES) return undefined;
  const console = new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(0, true);
  return { console, bytes: packed.subarray(NUMBER_BYTES) };
}
