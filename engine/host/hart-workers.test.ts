import { expect, test } from 'vitest';
import { HartWorkers } from './hart-workers.ts';

const small = new URL('../../test/host/small-hart-worker.ts', import.meta.url);

test('a spare worker keeps no process alive and is ended with its owner', async () => {
  const workers = new HartWorkers(small);
  workers.prepare();
  workers.prepare();
  await workers.close();
  await workers.close();
});

test('whoever starts a worker hears what is wrong with it, also of a spare one', async () => {
  const workers = new HartWorkers(new URL('./no-such-module.ts', import.meta.url));
  workers.prepare();
  const { port1, port2 } = new MessageChannel();
  const worker = workers.start({ commands: port2 } as unknown as Parameters<HartWorkers['start']>[0]);
  const error = await new Promise<Error>(resolve => worker.on('error', resolve));
  expect(error.message).toContain('no-such-module');
  port1.close();
});
