import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { useOther } from './other-host.ts';
import type { ServeOptions } from './serve.ts';

async function use(address: string, options: ServeOptions = {}) {
  const [printed, opened] = [[] as string[], [] as string[]];
  const parts = { dataFolder: '/nowhere', options, print: (text: string) => printed.push(text) };
  const status = await useOther({ pid: 77, address }, { ...parts, open: where => opened.push(where) });
  return { status, printed, opened };
}

test('a host that answers is shown, and opened if wanted', async () => {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const address = `http://127.0.0.1:${port}/#token=secret`;
  const shown = await use(address, { port });
  expect(shown).toMatchObject({ status: 0, opened: [address] });
  expect(shown.printed[0]).toBe(`Afterimage runs already, at ${address}`);
  expect((await use(address, { open: false })).opened).toEqual([]);
  // Whoever listens there is told nothing.
  expect(asked).toEqual(['/', '/']);
  for (const options of [{ port: port + 1 }, { newToken: true }, { allowHost: ['vm.example'] }]) {
    await expect(use(address, options)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('77'),
    });
  }
  server.close();
});

test('one that does not answer is named, with how to end it', async () => {
  await expect(use('http://127.0.0.1:1/#token=x')).rejects.toMatchObject({
    kind: 'locked',
    message: expect.stringContaining('kill 77'),
  });
});
