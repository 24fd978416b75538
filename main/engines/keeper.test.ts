import { expect, it } from 'vitest';
import { killedInTheEnd, putMachine, smallKernel } from '../../test/framework/machine-library.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { EngineKeeper, type KeeperParts, restartAtMost } from './keeper.ts';
import { openMachine } from './open-machine.ts';

function keeping(more: Partial<KeeperParts> = {}) {
  const { startEngine, engines } = killedInTheEnd();
  const told: string[] = [];
  let look = () => {};
  const tell = (text: string) => {
    told.push(text);
    look();
  };
  const keeper = new EngineKeeper({
    open: folder => openMachine(folder, { startEngine }),
    onEvent: (_, event) => tell(event.event === 'status' ? event.status.state : event.event),
    onUp: (_folder, status, own) => tell(`up ${status.state} ${own ? 'own' : 'foreign'}`),
    onDown: (_, error) => tell(error === undefined ? 'down' : `down ${error.kind}`),
    ...more,
  });
  const tells = async (text: string) => {
    while (!told.includes(text)) {
      await new Promise<void>(resolve => {
        look = resolve;
      });
    }
    return told.splice(0, told.indexOf(text) + 1);
  };
  return { keeper, tells, engines, startEngine };
}

function machine(mode = 'talk'): string {
  return putMachine(temporaryFolder(), 'web', { boot: { kind: 'files', kernel: smallKernel(), append: mode } });
}

it('calls share one process, which is let go when its machine is off and nobody asks', async () => {
  const { keeper, tells, engines } = keeping();
  const folder = machine();
  await Promise.all([
    keeper.call(folder, 'status', {}),
    keeper.call(folder, 'tree', {}),
    keeper.call(folder, 'disks', {}),
  ]);
  expect(engines).toHaveLength(1);
  expect(await tells('down')).toEqual(['up off own', 'down']);
  await keeper.call(folder, 'start', {});
  await tells('running');
  expect(keeper.connection(folder)?.isOpen).toBe(true);
  await keeper.call(folder, 'stop', { force: true });
  await tells('down');
  expect(keeper.connection(folder)).toBeUndefined();
});

it('a machine that another program runs is followed', async () => {
  const { keeper, tells, startEngine } = keeping();
  const folder = machine();
  await keeper.follow(folder);
  const other = await openMachine(folder, { startEngine });
  await other.connection.call('start', {});
  await keeper.follow(folder);
  await tells('up running foreign');
  other.connection.close();
  keeper.close();
  await tells('down');
  const again = await openMachine(folder, { startEngine });
  expect(again.status.state).toBe('running');
  again.connection.close();
});

it('a crash is told, and the machine is powered on again as often as the policy says', async () => {
  const { keeper, tells, engines } = keeping({
    restart: restartAtMost(1, 60_000),
    start: connection => connection.call('start', {}),
  });
  const folder = machine();
  await keeper.call(folder, 'start', {});
  await tells('running');
  engines[0]!.kill();
  await tells('down io');
  await tells('up off own');
  await tells('running');
  expect(engines).toHaveLength(2);
  engines[1]!.kill();
  await tells('down io');
  expect(await keeper.call(folder, 'status', {})).toMatchObject({ state: 'off' });
  expect(engines).toHaveLength(3);
  keeper.close();
});

it('without a policy a crashed machine stays off', async () => {
  const { keeper, tells, engines } = keeping();
  const folder = machine();
  await keeper.call(folder, 'start', {});
  await tells('running');
  engines[0]!.kill();
  await tells('down io');
  expect(keeper.connection(folder)).toBeUndefined();
});

it('a policy counts crashes within its time', () => {
  let now = 0;
  const restart = restartAtMost(2, 1000, () => now);
  const crash = { folder: '', error: undefined as never, status: { state: 'running', pid: 1 } as const };
  expect(restart({ ...crash, earlier: [] })).toBe(true);
  expect(restart({ ...crash, earlier: [0, 1] })).toBe(false);
  now = 1000;
  expect(restart({ ...crash, earlier: [0, 1] })).toBe(true);
});
