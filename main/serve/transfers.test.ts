import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { App } from '../ipc/app.ts';
import { FakeMachines } from '../ipc/fake-machines.ts';
import { FakePlatform } from '../ipc/fake-platform.ts';
import { Transfers } from './transfers.ts';

/** What a browser takes, as long as it is there. */
class Browser extends Writable {
  headers: Readonly<Record<string, unknown>> = {};
  readonly #leaves: boolean;

  constructor(leaves: boolean) {
    super();
    this.#leaves = leaves;
  }

  writeHead(_status: number, headers: Readonly<Record<string, unknown>>): void {
    this.headers = headers;
  }

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    if (this.#leaves) this.destroy();
    done();
  }
}

test.each([
  ['a name may hold anything', false],
  ['a page that goes in the middle of a download is no mistake', true],
])('%s', async (_, leaves) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'afterimage-transfers-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const machines = new FakeMachines();
  const platform = new FakePlatform().platform(folder, { host: 'browser' });
  const app = await App.open({ platform, machines, version: '1', now: () => 0, log: () => {} });
  onTestFinished(() => app.close());
  const machine = machines.add('Debian', 'running');
  const { id } = await machines.call(machine, 'checkpoint', { name: `(${'\u{20000}'.repeat(60)}` });
  machines.answers.set('export', async ({ file }: { file: string }) => {
    await writeFile(file, Buffer.alloc(2 ** 20));
  });
  const transfers = new Transfers(app, path.join(folder, 'uploads'), { largest: 1, atOnce: 1 });
  const browser = new Browser(leaves);
  await transfers.send(machine, id, browser as unknown as ServerResponse);
  expect(browser.headers['content-disposition']).toMatch(/filename\*=UTF-8''Debian%20-%20_?%28%F0%A0%80%80/);
});
