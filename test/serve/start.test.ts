// `npm start` where there is no window: from nothing to a running machine, and on from there the next day.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
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
  first.signal('SIGINT');
  // As npm does, which got it from the terminal too.
  first.signal('SIGINT');
  expect(await first.ended).toBe(0);
  expect(first.text).toContain('Putting away Debian');
  expect(first.text).not.toContain('runs on');
  expect(command(library, 'list')).toMatch(/Debian +suspended/);

  const second = new Running(library);
  await second.shows('Debian is running.');
  expect(exec('cat /tmp/in-memory')).toBe('kept\n');
  command(library, 'stop', 'Debian', '--force');
  second.signal('SIGTERM');
  expect(await second.ended).toBe(0);
});
