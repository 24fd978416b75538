// A library that is empty gets a machine to begin with.
import { GIB, MEMORY_LIMITS } from '../../engine/api/settings.ts';
import type { App } from './app.ts';
import { isRunning } from './menus.ts';

const NAME = 'Debian';
/** Sparse: it takes what is written to it. */
const DISK_BYTES = 8 * GIB;

/** The machine that `npm start` ends with, running: 'Debian', or the only one that there is. */
export async function startFirstMachine(app: App): Promise<string> {
  const { machines } = app.machines.view();
  const known = machines.find(({ name }) => name === NAME) ?? (machines.length === 1 ? machines[0] : undefined);
  const machine = known?.id ?? (machines.length > 1 ? undefined : await create(app));
  if (machine === undefined) return '';
  const summary = app.machine(machine);
  if (!isRunning(summary) && summary.problem === undefined) await app.machines.call(machine, 'start', {});
  return machine;
}

async function create(app: App): Promise<string> {
  const machine = await app.machines.create({
    name: NAME,
    memory: MEMORY_LIMITS.usual,
    boot: { kind: 'guest' },
    disks: [{ kind: 'new', size: DISK_BYTES, format: 'qcow2' }],
  });
  app.activity.add(machine, { kind: 'created' });
  return machine;
}
