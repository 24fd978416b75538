// Where the process that owns a machine's folder listens; see engine/host/control-server.ts.
import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../engine/base/host-errors.ts';

export const SOCKET_FILE = 'control.sock';
/** Names the socket where its path would not fit into the folder. */
export const SOCKET_PATH_FILE = 'control.path';
/** Longest path that every platform takes for a socket. */
const LONGEST_SOCKET_PATH = 100;

/** Undefined when nobody listens. What a folder's file names is only believed when it is a socket of ours. */
export async function controlAddress(folder: string): Promise<string | undefined> {
  if (process.platform === 'win32') {
    const name = createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 24);
    return `\\\\.\\pipe\\afterimage-${name}`;
  }
  const inFolder = path.join(path.resolve(folder), SOCKET_FILE);
  return Buffer.byteLength(inFolder) <= LONGEST_SOCKET_PATH ? inFolder : await namedAddress(folder);
}

async function namedAddress(folder: string): Promise<string | undefined> {
  try {
    const file = path.join(folder, SOCKET_PATH_FILE);
    const info = await lstat(file);
    if (!info.isFile() || info.size > LONGEST_SOCKET_PATH) return undefined;
    const address = await readFile(file, 'utf8');
    const [parent, uid] = [path.dirname(address), process.getuid?.() ?? 0];
    if (!/^[0-9a-f]{24}\.sock$/.test(path.basename(address))) return undefined;
    if (!path.isAbsolute(address) || path.basename(parent) !== `afterimage-${uid}`) return undefined;
    const owner = await lstat(parent);
    return owner.isDirectory() && owner.uid === uid && (owner.mode & 0o077) === 0 ? address : undefined;
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(thrown))) return undefined;
    throw thrown;
  }
}
