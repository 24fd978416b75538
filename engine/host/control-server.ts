// The control socket: how other programs reach the process that owns a machine.
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { AfterimageError } from '../base/errors.ts';
import { hostError } from './host-errors.ts';

export const SOCKET_FILE = 'control.sock';
/** Where the socket's path is when it does not fit into the machine's folder. */
export const SOCKET_PATH_FILE = 'control.path';
/** The kernel's limit is 108 bytes on Linux and 104 on macOS. */
const LONGEST_SOCKET_PATH = 100;
/** More clients than that are a mistake, or mischief. */
const MOST_CLIENTS = 64;

/** Listens for one machine. Whoever starts it owns the machine's folder, so a socket that is there already is stale. */
export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #named: string | undefined;

  private constructor(socketPath: string, server: Server, named: string | undefined) {
    this.path = socketPath;
    this.#server = server;
    this.#named = named;
  }

  /** Only the user who runs this process can connect. */
  static async listen(folder: string, accept: (socket: Socket) => void): Promise<ControlServer> {
    const inFolder = path.join(folder, SOCKET_FILE);
    const fits = process.platform !== 'win32' && Buffer.byteLength(inFolder) <= LONGEST_SOCKET_PATH;
    const socketPath = fits ? inFolder : await elsewhere(folder);
    const named = fits ? undefined : path.join(folder, SOCKET_PATH_FILE);
    try {
      if (process.platform !== 'win32') await rm(socketPath, { force: true });
      await rm(path.join(folder, SOCKET_PATH_FILE), { force: true });
      const server = await listenAt(socketPath, accept);
      if (named !== undefined) await writeFile(named, socketPath, { mode: 0o600 });
      return new ControlServer(socketPath, server, named);
    } catch (thrown) {
      throw hostError(thrown, socketPath, 'listen at');
    }
  }

  /** Takes no more clients, and removes the socket. Those that are connected are left to themselves. */
  async close(): Promise<void> {
    this.#server.close();
    if (this.#named !== undefined) await rm(this.#named, { force: true });
    if (process.platform !== 'win32') await rm(this.path, { force: true });
  }
}

async function listenAt(socketPath: string, accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, accept);
  server.maxConnections = MOST_CLIENTS;
  // The socket is made within this turn, and is nobody else's from the start.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath, resolve);
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
  if (process.platform !== 'win32') await chmod(socketPath, 0o600);
  server.on('error', () => undefined);
  server.unref();
  return server;
}

/** A short path that belongs to the folder alone. */
async function elsewhere(folder: string): Promise<string> {
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 24);
  if (process.platform === 'win32') return `\\\\.\\pipe\\afterimage-${name}`;
  const uid = process.getuid?.() ?? 0;
  const runtime = process.env.XDG_RUNTIME_DIR;
  const short = runtime !== undefined && path.isAbsolute(runtime) && Buffer.byteLength(runtime) < 40;
  const own = path.join(short ? runtime : shortTemporary(), `afterimage-${uid}`);
  await mkdir(own, { mode: 0o700 }).catch(() => undefined);
  const found = await lstat(own).catch(thrown => {
    throw hostError(thrown, own, 'find');
  });
  // In a folder for everybody, somebody else may have made it.
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new AfterimageError('denied', 'The folder for control sockets is not ours alone', { path: own });
  }
  return path.join(own, `${name}.sock`);
}

function shortTemporary(): string {
  const folder = os.tmpdir();
  return Buffer.byteLength(folder) < 40 ? folder : '/tmp';
}
