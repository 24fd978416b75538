// The control socket among strangers: lines that are none, clients that never read, clients that come and go.
import { connect as connectSocket, type Socket } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeLine, encodeLine, LineReader } from '../../engine/api/control-wire.ts';
import { connect, own, SMALL_OWNER, smallMachine } from './machine-owner.ts';

interface Stranger {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly messages: Record<string, unknown>[];
  answer(id: number): Promise<Record<string, unknown>>;
}

/** A client of a few lines, which may say anything. */
async function stranger(folder: string): Promise<Stranger> {
  const socket = connectSocket(path.join(folder, 'control.sock'));
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>(resolve => socket.on('close', () => resolve()));
  const messages: Record<string, unknown>[] = [];
  let look = () => {};
  const lines = new LineReader(line => {
    messages.push(decodeLine(line) as Record<string, unknown>);
    look();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.setEncoding('utf8').on('data', (text: string) => lines.push(text));
  const answer = async (id: number) => {
    for (;;) {
      const found = messages.find(message => message.id === id);
      if (found !== undefined) return found;
      await new Promise<void>(resolve => {
        look = resolve;
      });
    }
  };
  return { socket, closed, messages, answer };
}

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

describe('control socket', () => {
  it('survives hostile lines; each costs only its own client', async () => {
    const folder = await smallMachine('talk');
    const owner = own(folder, SMALL_OWNER);
    await owner.connection.call('start', {});
    const next = random(7);
    const pieces = [
      '{',
      '}',
      '"id":1',
      ',',
      '"call":"status"',
      '\n',
      '[',
      'null',
      '\u0000',
      '"',
      '\\u',
      '1e999',
      '$bytes',
      '\uFFFF',
    ];
    for (let round = 0; round < 300; round += 1) {
      const { socket } = await stranger(folder);
      let text = '';
      while (next() < 0.9) text += pieces[Math.floor(next() * pieces.length)];
      socket.write(text);
      if (next() < 0.5) socket.destroy();
      else socket.end('\n');
    }
    expect(await owner.connection.call('status', {})).toMatchObject({ state: 'running' });
  });

  it.each([
    ['no JSON', 'hello\n'],
    ['a line without an end', 'x'.repeat(9 * 1024 * 1024)],
    ['bytes that are none', '{"id":1,"call":"console-input","arguments":{"bytes":{"$bytes":"???"}}}\n'],
  ])('hangs up on %s', async (_, text) => {
    const folder = await smallMachine('talk');
    const owner = own(folder, SMALL_OWNER);
    await owner.connection.call('status', {});
    const { socket, closed } = await stranger(folder);
    socket.write(text);
    await closed;
    expect(await owner.connection.call('status', {})).toMatchObject({ state: 'off' });
  });

  it('answers mistakes by name', async () => {
    const folder = await smallMachine('talk');
    await own(folder, SMALL_OWNER).connection.call('status', {});
    const { socket, answer } = await stranger(folder);
    const mistakes: [unknown, string][] = [
      [{ id: 1, call: 'nothing' }, 'There is no such call'],
      [{ id: 2, call: '__proto__' }, 'There is no such call'],
      [{ id: 3, call: 7 }, 'The call has no name'],
      [{ id: 4, call: 'restore', arguments: {} }, 'The argument of restore'],
      [{ id: 5, call: 'start', arguments: { __proto__: 1, x: [] } }, 'The argument of start'],
      [{ id: 6, call: 'create', arguments: {} }, 'There is no such call'],
    ];
    socket.write('[]\n5\n"x"\n{"id":"1"}\n{"id":1.5,"call":"status"}\n');
    for (const [message] of mistakes) socket.write(encodeLine(message));
    for (const [index, [, text]] of mistakes.entries()) {
      expect(await answer(index + 1)).toMatchObject({
        error: { kind: 'usage', message: expect.stringContaining(text) },
      });
    }
  });

  it('does not let a client that never reads hold up the machine, the others, or the memory', async () => {
    const folder = await smallMachine('flood 30000000');
    const owner = own(folder, SMALL_OWNER);
    await owner.connection.call('status', {});
    const slow = await stranger(folder);
    const deaf = await stranger(folder);
    // This one acknowledges nothing, the other one does not even read.
    slow.socket.write(encodeLine({ id: 1, call: 'console-attach', arguments: {} }));
    deaf.socket.write(encodeLine({ id: 1, call: 'console-attach', arguments: {} }));
    await Promise.all([slow.answer(1), deaf.answer(1)]);
    deaf.socket.pause();
    const fast = await connect(folder);
    await fast.connection.call('console-attach', {});
    await owner.connection.call('start', {});
    await fast.until('off', () => fast.events.some(event => event.event === 'status' && event.status.state === 'off'));
    expect(fast.output().length).toBe(30_000_000);
    const sent = slow.messages.filter(message => message.event === 'console-output') as unknown as {
      bytes: Uint8Array;
    }[];
    const bytes = sent.reduce((sum, message) => sum + message.bytes.length, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(1024 * 1024);
  });

  it('refuses more calls than one client can wait for', async () => {
    const folder = await smallMachine('talk');
    const owner = own(folder, SMALL_OWNER);
    await owner.connection.call('start', {});
    const { socket, answer } = await stranger(folder);
    // A machine that does not read its console takes none of this.
    await owner.connection.call('pause', {});
    for (let id = 0; id < 300; id += 1) {
      socket.write(encodeLine({ id, call: 'console-input', arguments: { bytes: new Uint8Array(8192) } }));
    }
    expect(await answer(299)).toMatchObject({ error: { kind: 'usage' } });
    await owner.connection.call('stop', { force: true });
    expect(await answer(0)).toBeDefined();
  });
});
