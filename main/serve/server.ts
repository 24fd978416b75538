// The browser host's server, on loopback only. TLS and access from elsewhere are a reverse proxy's work.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import * as v from 'valibot';
import { WebSocketServer } from 'ws';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf } from '../../engine/base/host-errors.ts';
import { identity } from '../../preload/contract/shapes.ts';
import { LONGEST_SOCKET_MESSAGE, PATHS, TOKEN_PREFIX } from '../../preload/contract/socket.ts';
import type { App } from '../ipc/app.ts';
import type { PageFiles } from '../ipc/page-files.ts';
import { CONTENT_SECURITY_POLICY, PAGE_HEADERS } from '../ipc/page-policy.ts';
import { Gate } from './gate.ts';
import { KEY_BYTES } from './kept-host.ts';
import { PageSocket } from './page-socket.ts';
import { Transfers, type UploadLimits } from './transfers.ts';

export interface ServerParts {
  readonly app: App;
  readonly pages: PageFiles;
  /** The browser's bridge, as one script. */
  readonly bridge: Uint8Array;
  readonly uploadFolder: string;
  readonly uploads: UploadLimits;
  /** Names under which a reverse proxy shows us. */
  readonly otherHosts: readonly string[];
  /** Milliseconds in which a sender must send something; a minute unless given. */
  readonly longestSilence?: number;
  /** Signs the passes of pages; with one of its own a host lets in nobody from earlier runs. */
  readonly key?: Uint8Array;
}

const BRIDGE_PATH = '/bridge.js';
const LONGEST_TOKEN_BODY = 1024;
const HEARTBEAT_MILLISECONDS = 30_000;
const MOST_SOCKETS = 64;
/** Pages, their files, uploads and downloads, many times over. */
const MOST_CONNECTIONS = 1024;
const HEADERS_MILLISECONDS = 30_000;
/** Of an upload, or anything else that is sent to us. */
const LONGEST_SILENCE = 60_000;

export class BrowserServer {
  readonly #parts: ServerParts;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LONGEST_SOCKET_MESSAGE,
    perMessageDeflate: false,
  });
  readonly #transfers: Transfers;
  readonly #gate: Gate;
  readonly #port: number;
  readonly #heartbeat: NodeJS.Timeout;
  #lastPage = 0;

  private constructor(parts: ServerParts, server: Server, port: number) {
    this.#parts = parts;
    this.#server = server;
    this.#port = port;
    this.#gate = new Gate(port, parts.otherHosts, parts.key ?? randomBytes(KEY_BYTES));
    this.#transfers = new Transfers(parts.app, parts.uploadFolder, parts.uploads);
    server.on('request', (request, response) => void this.#answer(request, response));
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MILLISECONDS).unref();
  }

  /** Port 0 takes any that is free. Errors: `locked` when the port is in use. */
  static async listen(parts: ServerParts, port: number): Promise<BrowserServer> {
    // A disk may take hours to come; whoever sends nothing for a while is cut off all the same.
    const server = createServer({ requestTimeout: 0, headersTimeout: HEADERS_MILLISECONDS });
    server.maxConnections = MOST_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    }).catch(cause => {
      if (codeOf(cause) !== 'EADDRINUSE') throw cause;
      throw new AfterimageError('locked', `Port ${port} is in use; give another with --port`, { port }, { cause });
    });
    return new BrowserServer(parts, server, (server.address() as AddressInfo).port);
  }

  /** With the token: whoever has it works with the machines. */
  get address(): string {
    return `http://127.0.0.1:${this.#port}/${TOKEN_PREFIX}${this.#gate.token}`;
  }

  get port(): number {
    return this.#port;
  }

  get pages(): number {
    return this.#sockets.clients.size;
  }

  /** Cuts off all pages; they come back by themselves. */
  dropPages(): void {
    for (const page of this.#sockets.clients) page.terminate();
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    for (const socket of this.#sockets.clients) socket.close(1001, 'the host ends');
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(PAGE_HEADERS)) response.setHeader(name, value);
    try {
      if (!this.#gate.isOurHost(request)) return end(response, 421);
      const address = URL.parse(request.url ?? '/', `http://127.0.0.1:${this.#port}`);
      if (address === null) return end(response, 400);
      if (request.method === 'POST') return await this.#post(request, response, address);
      if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405);
      if (address.pathname.startsWith(`${PATHS.download}/`)) return await this.#download(request, response, address);
      this.#file(request, response, address.pathname);
    } catch (thrown) {
      this.#fail(response, thrown);
    }
  }

  #file(request: IncomingMessage, response: ServerResponse, pathname: string): void {
    const file =
      pathname === BRIDGE_PATH
        ? { type: 'text/javascript; charset=utf-8', bytes: this.#parts.bridge }
        : this.#parts.pages.get(pathname);
    if (file === undefined) {
      end(response, 404);
      return;
    }
    const isPage = file.type.startsWith('text/html');
    const bytes = isPage ? withBridge(file.bytes) : file.bytes;
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': bytes.length,
      // Names of built files change with their content, but for the page itself and the bridge.
      'cache-control': /\/assets\//.test(pathname) ? 'private, max-age=31536000, immutable' : 'no-store',
      ...(isPage ? { 'content-security-policy': CONTENT_SECURITY_POLICY } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  async #post(request: IncomingMessage, response: ServerResponse, address: URL): Promise<void> {
    if (!this.#gate.isOurOrigin(request)) return end(response, 403);
    request.setTimeout(this.#parts.longestSilence ?? LONGEST_SILENCE, () => request.destroy());
    if (address.pathname === PATHS.session) return await this.#session(request, response);
    if (!this.#gate.hasSession(request)) return end(response, 401);
    if (address.pathname !== PATHS.upload) return end(response, 404);
    const chosen = await this.#transfers.receive(request, address.searchParams.get('name') ?? '');
    json(response, 200, { ok: true, result: chosen });
  }

  async #session(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token, pass } = (await smallJson(request)) as { readonly token?: unknown; readonly pass?: unknown };
    const knows = this.#gate.isTheToken(token) || (token === '' && this.#gate.isPass(pass));
    if (!knows && !(token === '' && this.#gate.hasSession(request))) return end(response, 401);
    if (!this.#gate.hasSession(request)) response.setHeader('set-cookie', this.#gate.letIn(request));
    // A cookie goes to every port of a computer. Whoever has only that gets nothing that outlives this run.
    json(response, 200, knows ? { pass: this.#gate.newPass() } : {});
  }

  async #download(request: IncomingMessage, response: ServerResponse, address: URL): Promise<void> {
    if (!this.#gate.hasSession(request)) return end(response, 401);
    if (!this.#gate.isOurPage(request)) return end(response, 403);
    const [machine, id, ...rest] = address.pathname.slice(PATHS.download.length + 1).split('/');
    if (!v.is(identity, machine) || !v.is(identity, id) || rest.length > 0) return end(response, 404);
    await this.#transfers.send(machine, id, response);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Without a listener a broken connection would end the process.
    socket.on('error', () => socket.destroy());
    const problem = this.#problemOf(request);
    if (problem !== undefined) {
      socket.end(`HTTP/1.1 ${problem} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, page => {
      this.#lastPage += 1;
      const alive = { since: true };
      BEATS.set(page, alive);
      page.on('pong', () => {
        alive.since = true;
      });
      new PageSocket(this.#parts.app, page, this.#lastPage);
    });
  }

  /** The status that refuses an upgrade. */
  #problemOf(request: IncomingMessage): number | undefined {
    const { pathname } = URL.parse(request.url ?? '', `http://127.0.0.1:${this.#port}`) ?? {};
    if (!this.#gate.isOurHost(request)) return 421;
    if (pathname !== PATHS.socket) return 404;
    if (!this.#gate.isOurOrigin(request)) return 403;
    if (!this.#gate.hasSession(request)) return 401;
    return this.#sockets.clients.size >= MOST_SOCKETS ? 503 : undefined;
  }

  /** A page whose computer has gone does not say so. */
  #beat(): void {
    for (const page of this.#sockets.clients) {
      const alive = BEATS.get(page);
      if (alive?.since === false) page.terminate();
      else page.ping();
      if (alive !== undefined) alive.since = false;
    }
  }

  #fail(response: ServerResponse, thrown: unknown): void {
    const error = this.#parts.app.report(thrown, 'request');
    if (response.headersSent) response.destroy();
    else json(response, error.kind === 'too-large' ? 413 : 400, { ok: false, error });
  }
}

const BEATS = new WeakMap<object, { since: boolean }>();

/** The page finds its bridge where Electron's preload script puts it. */
function withBridge(page: Uint8Array): Uint8Array {
  const text = Buffer.from(page).toString('utf8');
  return Buffer.from(text.replace('</title>', `</title>\n    <script src=".${BRIDGE_PATH}"></script>`));
}

async function smallJson(request: IncomingMessage): Promise<object> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > LONGEST_TOKEN_BODY) throw new AfterimageError('too-large', 'The request is too long');
  }
  try {
    return Object(JSON.parse(text)) as object;
  } catch (cause) {
    throw new AfterimageError('usage', 'The request is not JSON', {}, { cause });
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  // What the sender still sends is not read: the connection ends with the answer.
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' });
  response.end(JSON.stringify(value));
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'cache-control': 'no-store' });
  response.end();
}
