// `npm start` where there is no window: from nothing to a running machine, and on from there the next day.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { decodeLine, encodeLine } from '../../engine/api/control-wire.ts';
import type { SocketMessage } from '../../preload/contract/socket.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

const COMMAND = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');

class Running {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  text = '';

  constructor(library: string) {
    const { DISPLAY: _display, WAYLAND_DISPLAY: _wayland, ...environment } = process.env;
    const words = [COMMAND, 'app', '--library', library, '--port', '0', '--no-open'];
    this.#child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', part => {
        this.text += part;
      });
    }
    this.ended = new Promise(resolve => this.#child.on('close', resolve));
  }

  async shows(wanted: string): Promise<void> {
    await expect.poll(() => this.text, { timeout: 120_000, interval: 20 }).toContain(wanted);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}

function command(library: string, ...words: string[]): string {
  const run = spawnSync(process.execPath, [COMMAND, ...words, '--library', library], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  expect(run.status, run.stderr).toBe(0);
  return run.stdout;
}

/** Calls of a page that was let in. */
async function pageOf(address: string): Promise<(name: string, arguments_: unknown) => Promise<unknown>> {
  const { origin, hash } = new URL(address);
  const body = JSON.stringify({ token: hash.replace('#token=', '') });
  const entered = await fetch(new URL('/session', origin), { method: 'POST', headers: { origin }, body });
  const cookie = entered.headers.get('set-cookie')!.split(';')[0]!;
  const socket = new WebSocket(`${origin.replace('http', 'ws')}/socket`, { headers: { origin, cookie } });
  onTestFinished(() => socket.terminate());
  await new Promise(resolve => socket.once('open', resolve));
  let last = 0;
  return (name, arguments_) => {
    last += 1;
    const id = last;
    socket.send(encodeLine({ kind: 'call', id, name, arguments: arguments_ }));
    return new Promise((resolve, reject) => {
      const hear = (data: Buffer, isBinary: boolean) => {
        const message = isBinary ? undefined : (decodeLine(data.toString()) as SocketMessage);
        if (message?.kind !== 'answer' || message.id !== id) return;
        socket.off('message', hear);
        if (message.answer.ok) resolve(message.answer.result);
        else reject(new Error(message.answer.error.message));
      };
      socket.on('message', hear);
    });
  };
}

test('it makes a machine, starts it, suspends it at the end and goes on with it the next time', async () => {
  const library = path.join(temporaryFolder(), 'machines');
  const first = new Running(library);
  await first.shows('Debian is running.');
  expect(first.text).toMatch(
    /^(Electron's program is not installed|There is no display), so the app is shown in a web browser\.$/m,
  );
  expect(first.text).toMatch(/Afterimage is at http:\/\/127\.0\.0\.1:\d+\/#token=[0-9a-f]{64}/);
  // A second one finds the first.
  const address = /http:\S+/.exec(first.text)?.[0];
  expect(command(library, 'serve', '--no-open')).toContain(`Afterimage runs already, at ${address}\n`);
  const exec = (text: string) => {
    const words = [COMMAND, 'exec', '--library', library, 'Debian', '--', text];
    return spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 120_000 }).stdout;
  };
  expect(exec('echo kept > /tmp/in-memory; cat /tmp/in-memory')).toBe('kept\n');
  // One more, started by a page.
  const ask = await pageOf(address!);
  const boot = { kind: 'guest' };
  const { machine } = (await ask('create-machine', { name: 'web', memory: 128 * 2 ** 20, boot, disks: [] })) as {
    machine: string;
  };
  await ask('machine-call', { machine, name: 'start', arguments: {} });
  first.signal('SIGINT');
  // As npm does, which got it from the terminal too.
  first.signal('SIGINT');
  expect(await first.ended).toBe(0);
  expect(first.text).toContain('Putting away Debian');
  expect(first.text).not.toContain('runs on');
  expect(command(library, 'list')).toMatch(/Debian +suspended/);

  const second = new Running(library);
  await second.shows('Debian is running.');
  for (const name of ['Debian', 'web']) expect(second.text).toContain(`${name} goes on where it was.`);
  command(library, 'stop', 'web', '--force');
  expect(exec('cat /tmp/in-memory')).toBe('kept\n');
  command(library, 'stop', 'Debian', '--force');
  second.signal('SIGTERM');
  expect(await second.ended).toBe(0);
});
