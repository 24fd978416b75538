// The browser host as those see it who are not let in, and as a page does.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { decodeLine, encodeLine } from '../../engine/api/control-wire.ts';
import { packConsoleBytes, type SocketMessage, unpackConsoleBytes } from '../../preload/contract/socket.ts';
import { App } from '../ipc/app.ts';
import { FakeMachines } from '../ipc/fake-machines.ts';
import { FakePlatform } from '../ipc/fake-platform.ts';
import { PageFiles } from '../ipc/page-files.ts';
import { CONTENT_SECURITY_POLICY } from '../ipc/page-policy.ts';
import { BrowserServer } from './server.ts';

const LARGEST = 1000;
/** Long for a test that sends, short for one that does not. */
const SILENCE = 2000;
const PROXY = 'vm.example';

let folder: string;
let machines: FakeMachines;
let app: App;
let server: BrowserServer;
let port: number;
let token: string;
const sockets: WebSocket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'afterimage-serve-'));
  await mkdir(path.join(folder, 'pages/assets'), { recursive: true });
  await writeFile(path.join(folder, 'pages/index.html'), '<!doctype html><html><head><title>A</title></head></html>');
  await writeFile(path.join(folder, 'pages/assets/main.js'), 'export {};');
  await writeFile(path.join(folder, 'secret.js'), 'secret');
  machines = new FakeMachines();
  const platform = new FakePlatform().platform(folder, { host: 'browser' });
  app = await App.open({ platform, machines, version: '1', now: () => 0, log: () => {} });
  server = await BrowserServer.listen(
    {
      app,
      pages: await PageFiles.read(path.join(folder, 'pages')),
      bridge: Buffer.from('bridge'),
      uploadFolder: path.join(folder, 'temporary/uploads'),
      uploads: { largest: LARGEST, atOnce: 2 },
      otherHosts: [PROXY],
      longestSilence: SILENCE,
    },
    0,
  );
  port = Number(new URL(server.address).port);
  token = new URL(server.address).hash.replace('#token=', '');
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await server.close();
  await app.close();
  await rm(folder, { recursive: true, force: true });
});

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const own = () => `http://127.0.0.1:${port}`;

function ask(options: RequestOptions & { body?: string | Uint8Array }): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, agent: false, ...options }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(options.body);
  });
}

/** The cookie of a page that was let in. */
async function enter(given: unknown = token, origin = own()): Promise<{ reply: Reply; cookie: string }> {
  const body = JSON.stringify({ token: given });
  const reply = await ask({ method: 'POST', path: '/session', headers: { origin }, body });
  return { reply, cookie: reply.headers['set-cookie']?.[0]?.split(';')[0] ?? '' };
}

function open(headers: Record<string, string>, where = '/socket'): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${where}`, { headers });
  sockets.push(socket);
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}

const openOwn = async () => open({ origin: own(), cookie: (await enter()).cookie });

function next(socket: WebSocket, wanted: (message: SocketMessage) => boolean): Promise<SocketMessage> {
  return new Promise(resolve => {
    const hear = (data: Buffer, isBinary: boolean) => {
      if (isBinary) return;
      const message = decodeLine(data.toString()) as SocketMessage;
      if (!wanted(message)) return;
      socket.off('message', hear);
      resolve(message);
    };
    socket.on('message', hear);
  });
}

test('the page has a strict policy, isolation, and its bridge', async () => {
  const { status, headers, text } = await ask({ path: '/' });
  expect(status).toBe(200);
  expect(text).toContain('<script src="./bridge.js"></script>');
  expect(headers).toMatchObject({
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
  });
  expect(headers['content-security-policy']).toBe(CONTENT_SECURITY_POLICY);
  expect((await ask({ path: '/assets/main.js' })).text).toBe('export {};');
  expect((await ask({ path: '/bridge.js' })).text).toBe('bridge');
});

test('no path leads out of the pages', async () => {
  for (const name of [
    '/../secret.js',
    '/..%2fsecret.js',
    '/%2e%2e/secret.js',
    '/assets/../../secret.js',
    '/assets/..%5c..%5csecret.js',
    '//etc/passwd',
    '/assets',
    '/assets/',
    '/index.html%00.js',
    '/./../secret.js',
  ]) {
    expect((await ask({ path: name })).status, name).toBe(404);
  }
  // What a client would never send, as it is on the wire.
  const raw = await new Promise<string>(resolve => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET /assets/../../secret.js HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
    });
    socket.on('data', data => {
      text += data.toString();
    });
    socket.on('close', () => resolve(text));
  });
  expect(raw).toMatch(/^HTTP\/1.1 404/);
});

test('without the token nobody is let in', async () => {
  for (const given of [
    '',
    'x',
    token.slice(1),
    `${token}0`,
    token.toUpperCase() === token ? 'X' : token.toUpperCase(),
    7,
    null,
    {},
  ]) {
    const { reply } = await enter(given);
    expect(reply.status, String(given)).toBe(401);
    expect(reply.headers).not.toHaveProperty('set-cookie');
  }
  for (const where of ['/upload?name=a', '/download/a/b']) {
    const method = where.startsWith('/upload') ? 'POST' : 'GET';
    expect((await ask({ method, path: where, headers: { origin: own() } })).status, where).toBe(401);
  }
  await expect(open({ origin: own() })).rejects.toThrow('401');
  await expect(open({ origin: own(), cookie: `afterimage-${port}=${token}` })).rejects.toThrow('401');
  expect(machines.calls).toEqual([]);
});

test('the token gives a cookie that scripts cannot read and other sites cannot send', async () => {
  const { reply, cookie } = await enter();
  expect(reply.status).toBe(200);
  expect(reply.headers['set-cookie']?.[0]).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
  expect(cookie).not.toContain(token);
  // A reload has no token any more.
  const headers = { origin: own(), cookie };
  expect((await ask({ method: 'POST', path: '/session', headers, body: '{"token":""}' })).text).toBe('{}');
  expect((await ask({ method: 'POST', path: '/session', headers, body: '{"token":"wrong"}' })).status).toBe(401);
});

test('other origins are refused, with the token and with the cookie', async () => {
  const { cookie } = await enter();
  for (const origin of [
    'http://evil.example',
    'null',
    `http://127.0.0.1:${port + 1}`,
    `http://127.0.0.1:${port}.evil.example`,
    `http://evil.example:${port}`,
    `file://127.0.0.1:${port}`,
    `http://127.0.0.1:${port}/`,
  ]) {
    expect((await enter(token, origin)).reply.status, origin).toBe(403);
    await expect(open({ origin, cookie }), origin).rejects.toThrow('403');
    const upload = await ask({ method: 'POST', path: '/upload?name=a', headers: { origin, cookie }, body: 'x' });
    expect(upload.status, origin).toBe(403);
  }
  // No origin at all is no page of ours either.
  await expect(open({ cookie })).rejects.toThrow('403');
  const cross = { cookie, 'sec-fetch-site': 'cross-site' };
  const id = '0'.repeat(32);
  expect((await ask({ path: `/download/${id}/${id}`, headers: cross })).status).toBe(403);
});

test('a name that is not ours is refused, whatever it resolves to', async () => {
  const { cookie } = await enter();
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `0.0.0.0:${port}`,
  ]) {
    for (const where of ['/', '/bridge.js', '/download/a/b']) {
      expect((await ask({ path: where, headers: { host, cookie } })).status, host).toBe(421);
    }
    await expect(open({ host, origin: `http://${host}`, cookie }), host).rejects.toThrow('421');
  }
  for (const host of [`localhost:${port}`, `[::1]:${port}`, PROXY]) {
    expect((await ask({ path: '/', headers: { host } })).status, host).toBe(200);
  }
});

test('behind a proxy with TLS the cookie is secure', async () => {
  const headers = { origin: `https://${PROXY}`, host: PROXY };
  const { headers: got } = await ask({ method: 'POST', path: '/session', headers, body: JSON.stringify({ token }) });
  expect(got['set-cookie']?.[0]).toContain('; Secure');
});

test('other methods and what is no request are refused', async () => {
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    expect((await ask({ method, path: '/', headers: { origin: own() } })).status, method).toBe(405);
  }
  const long = JSON.stringify({ token: 'x'.repeat(5000) });
  expect((await ask({ method: 'POST', path: '/session', headers: { origin: own() }, body: long })).status).toBe(413);
  expect((await ask({ method: 'POST', path: '/session', headers: { origin: own() }, body: '{' })).status).toBe(400);
});

test('a page calls, is answered and hears what happens', async () => {
  const socket = await openOwn();
  const machine = machines.add('Debian');
  socket.send(
    encodeLine({ kind: 'call', id: 1, name: 'machine-call', arguments: { machine, name: 'start', arguments: {} } }),
  );
  const event = next(socket, message => message.kind === 'event' && message.event.event === 'machine-event');
  expect(await next(socket, message => message.kind === 'answer')).toMatchObject({ id: 1, answer: { ok: true } });
  expect(await event).toMatchObject({
    event: { machine, happened: { event: 'status', status: { state: 'running' } } },
  });
  const memory = { machine, name: 'memory', arguments: {} };
  socket.send(encodeLine({ kind: 'call', id: 2, name: 'machine-call', arguments: memory }));
  expect(await next(socket, message => message.kind === 'answer')).toMatchObject({
    answer: { result: { pages: new Uint8Array([0, 1, 2]) } },
  });
});

test('console bytes come and go as they are', async () => {
  const socket = await openOwn();
  const machine = machines.add('Debian', 'running');
  socket.send(encodeLine({ kind: 'console-open', console: 5, machine }));
  expect(await next(socket, message => message.kind === 'console-opened')).toEqual({
    kind: 'console-opened',
    console: 5,
  });
  const typed = Uint8Array.from({ length: 256 }, (_, index) => index);
  const echoed = new Promise<Uint8Array>(resolve => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) resolve(unpackConsoleBytes(data)!.bytes);
    });
  });
  socket.send(packConsoleBytes(5, typed));
  expect(Uint8Array.from(await echoed)).toEqual(typed);
  socket.send(encodeLine({ kind: 'console-open', console: 6, machine: '0'.repeat(32) }));
  const refused = await next(socket, message => message.kind === 'console-opened' && message.console === 6);
  expect(refused).toMatchObject({ error: { kind: 'missing' } });
});

test('what is no message ends the connection, and nothing else', async () => {
  const messages = ['', '{', 'null', '{"kind":"eval"}', '{"kind":"call","id":-1,"name":"library","arguments":{}}'];
  for (const text of messages) {
    const socket = await openOwn();
    const closed = new Promise<number>(resolve => socket.once('close', resolve));
    socket.send(text);
    expect(await closed, text).toBe(1008);
  }
  const socket = await openOwn();
  const closed = new Promise<number>(resolve => socket.once('close', resolve));
  socket.send('x'.repeat(5 * 1024 * 1024));
  expect(await closed).toBe(1009);
  expect((await ask({ path: '/' })).status).toBe(200);
});

test('an upload becomes a token, under a name that is no path', async () => {
  const { cookie } = await enter();
  const headers = { origin: own(), cookie };
  const name = encodeURIComponent('Disk ä.qcow2');
  const { text } = await ask({ method: 'POST', path: `/upload?name=${name}`, headers, body: 'content' });
  const { result } = JSON.parse(text) as { result: { token: string } };
  expect(result).toMatchObject({ name: 'Disk ä.qcow2', bytes: 7, kind: 'qcow2' });
  expect(app.files.path(result.token).startsWith(path.join(folder, 'temporary/uploads'))).toBe(true);
  await app.files.release(result.token);
  expect(await readdir(path.join(folder, 'temporary/uploads'))).toEqual([]);
  for (const bad of ['', '..%2f..%2fetc%2fpasswd', 'a%2fb', 'a%5cb', 'x'.repeat(300)]) {
    const reply = await ask({ method: 'POST', path: `/upload?name=${bad}`, headers, body: 'x' });
    expect(reply.status, bad).toBe(400);
  }
});

test('an upload that is too large is refused before it is read, and while it is', async () => {
  const { cookie } = await enter();
  const headers = { origin: own(), cookie };
  const announced = await ask({
    method: 'POST',
    path: '/upload?name=a',
    headers: { ...headers, 'content-length': 10 * LARGEST, expect: '100-continue' },
  }).catch(error => error);
  if (!(announced instanceof Error)) expect(announced.status).toBe(413);
  const chunked = new Promise<number | string>(resolve => {
    const asked = request(
      { host: '127.0.0.1', port, method: 'POST', path: '/upload?name=a', headers, agent: false },
      response => resolve(response.statusCode ?? 0),
    );
    asked.on('error', () => resolve('cut off'));
    for (let part = 0; part < 20; part++) asked.write('x'.repeat(LARGEST / 4));
    asked.end();
  });
  expect([413, 'cut off']).toContain(await chunked);
  await expect.poll(() => readdir(path.join(folder, 'temporary/uploads')).catch(() => [])).toEqual([]);
});

test('an upload that breaks off leaves nothing', async () => {
  const { cookie } = await enter();
  const asked = request({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: '/upload?name=a',
    headers: { origin: own(), cookie, 'content-length': 500 },
    agent: false,
  });
  asked.on('error', () => {});
  asked.write('half');
  const uploads = path.join(folder, 'temporary/uploads');
  await expect
    .poll(() =>
      readdir(uploads).then(
        names => names.length,
        () => 0,
      ),
    )
    .toBe(1);
  asked.destroy();
  await expect.poll(() => readdir(uploads)).toEqual([]);
});

test('an upload that says nothing more is cut off, and leaves nothing', async () => {
  const { cookie } = await enter();
  const asked = request({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: '/upload?name=a',
    headers: { origin: own(), cookie, 'content-length': 500 },
    agent: false,
  });
  const over = new Promise(resolve => asked.on('error', resolve));
  asked.write('half');
  await over;
  const uploads = path.join(folder, 'temporary/uploads');
  await expect.poll(() => readdir(uploads).catch(() => [])).toEqual([]);
});

test('a checkpoint is downloaded under its name', async () => {
  const machine = machines.add('Debian', 'running');
  const { id } = await machines.call(machine, 'checkpoint', { name: 'vor "dem" Umbau ä' });
  const { cookie } = await enter();
  const { status, headers, text } = await ask({ path: `/download/${machine}/${id}`, headers: { cookie } });
  expect([status, text]).toEqual([200, 'a checkpoint']);
  expect(headers['content-disposition']).toContain("filename*=UTF-8''Debian%20-%20vor%20_dem_%20Umbau%20%C3%A4");
  for (const where of [`/download/${machine}/..`, `/download/${machine}`, `/download/${machine}/${id}/x`]) {
    expect((await ask({ path: where, headers: { cookie } })).status, where).toBe(404);
  }
});
