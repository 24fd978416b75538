// Where the process that owns a machine's folder listens.
import path from 'node:path';

/** Longest path of a socket that every platform takes, with its final zero byte. */
export const LONGEST_SOCKET_PATH = 100;

export function controlAddress(folder: string): string {
  return path.join(folder, 'control.sock');
}
