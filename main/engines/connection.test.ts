import { describe, expect, it } from 'vitest';
import { EngineEnded, MachineConnection } from './connection.ts';
import type { ControlTransport, TransportEnd, TransportHandlers } from './transport.ts';

/** The other side in our hands. */
class Other implements ControlTransport {
  readonly sent: { id: number; call: string; arguments: unknown }[] = [];
  closed = 0;
  #handlers: TransportHandlers | undefined;

  open(handlers: TransportHandlers): void {
    this.#handlers = handlers;
  }

  send(message: unknown): void {
    this.sent.push(message as never);
  }

  close(): void {
    this.closed += 1;
  }

  say(message: unknown): void {
    this.#handlers?.message(message);
  }

  end(end: Partial<TransportEnd>): void {
    this.#handlers?.end({ code: null, signal: null, lastWords: '', ...end });
  }
}

function pair(folder = '/library/web') {
  const other = new Other();
  return { other, connection: new MachineConnection(other, folder) };
}

describe('connection to a machine', () => {
  it('gives every call its own answer, in whatever order they come', async () => {
    const { other, connection } = pair();
    const [status, tree] = [connection.call('status', {}), connection.call('tree', {})];
    expect(other.sent).toMatchObject([{ call: 'status', arguments: {} }, { call: 'tree' }]);
    other.say({ id: other.sent[1]!.id, result: { nodes: [] } });
    other.say({ id: other.sent[0]!.id, result: { state: 'off' } });
    expect(await status).toEqual({ state: 'off' });
    expect(await tree).toEqual({ nodes: [] });
  });

  it('announces events to those that listen, as long as they do', () => {
    const { other, connection } = pair();
    const heard: string[] = [];
    const end = connection.on('tree', () => heard.push('first'));
    connection.on('tree', () => heard.push('second'));
    other.say({ event: 'tree' });
    end();
    other.say({ event: 'tree' });
    other.say({ event: 'disks' });
    expect(heard).toEqual(['first', 'second', 'second']);
  });

  it.each<[string, Partial<TransportEnd>, string, RegExp]>([
    ['a crash', { signal: 'SIGSEGV', lastWords: 'one\nlast words\n' }, 'internal', /unexpectedly \(SIGSEGV\)/],
    ['a mistake', { code: 1 }, 'internal', /unexpectedly \(status 1\)/],
    ['a kill', { signal: 'SIGKILL' }, 'io', /killed/],
    ['a lost socket', { problem: new Error('reset') }, 'io', /connection .* lost/],
  ])('%s ends what is asked, with the last words', async (_, end, kind, message) => {
    const { other, connection } = pair();
    const asked = connection.call('status', {});
    other.end(end);
    const error = await asked.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EngineEnded);
    expect(error).toMatchObject({
      kind,
      message: expect.stringMatching(message),
      context: { folder: '/library/web', call: 'status', lastWords: end.lastWords && 'last words' },
    });
    await expect(connection.call('tree', {})).rejects.toMatchObject({ kind, context: { call: 'tree' } });
    expect(await connection.ended).toMatchObject(end);
    expect(connection.isOpen).toBe(false);
  });

  it('after it is closed nothing comes, and what was asked is told so', async () => {
    const { other, connection } = pair();
    let heard = 0;
    connection.on('tree', () => {
      heard += 1;
    });
    const asked = connection.call('status', {});
    connection.close();
    connection.close();
    other.say({ id: other.sent[0]!.id, result: {} });
    other.say({ event: 'tree' });
    other.end({ code: 0 });
    await expect(asked).rejects.toMatchObject({ kind: 'state' });
    await expect(connection.call('status', {})).rejects.toMatchObject({ kind: 'state' });
    expect([heard, other.closed, other.sent.length]).toEqual([0, 1, 1]);
  });

  it('errors keep their kind and facts; those out of shape are cut', async () => {
    const { other, connection } = pair();
    const answers: [unknown, unknown][] = [
      [
        { kind: 'no-space', message: 'Full', context: { path: 'a', offset: 7 } },
        { kind: 'no-space', message: 'Full', context: { path: 'a', offset: 7 } },
      ],
      [null, { kind: 'internal', context: {} }],
      ['text', { kind: 'internal' }],
      [{ kind: 'a'.repeat(99), message: 7 }, { kind: 'internal' }],
      [
        { kind: 'io', message: 'x'.repeat(100_000) },
        { kind: 'io', message: 'x'.repeat(4096) },
      ],
      [
        { kind: 'io', message: 'm', context: { deep: { er: 1 }, text: 'y'.repeat(100_000), fine: true } },
        { context: { text: 'y'.repeat(4096), fine: true } },
      ],
    ];
    for (const [error, expected] of answers) {
      const asked = connection.call('status', {});
      other.say({ id: other.sent.at(-1)!.id, error });
      await expect(asked).rejects.toMatchObject(expected as object);
    }
  });

  it('what makes no sense is not heard', async () => {
    const { other, connection } = pair();
    const asked = connection.call('status', {});
    for (const nonsense of [
      undefined,
      null,
      7,
      'text',
      [],
      {},
      { id: 'x' },
      { id: 999, result: 1 },
      { event: '__proto__' },
    ]) {
      other.say(nonsense);
    }
    other.say({ id: other.sent[0]!.id, result: 'the answer' });
    // A second answer to the same call.
    other.say({ id: other.sent[0]!.id, result: 'another' });
    expect(await asked).toBe('the answer');
  });
});
