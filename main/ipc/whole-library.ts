// What is done to all running machines at once, and from outside of any page.
import type { MachineStatus } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { MachineSummary } from '../../preload/contract/library.ts';
import type { App } from './app.ts';

/** A guest that does not power off within this is left to the user. */
const STOP_SECONDS = 60;

/** A checkpoint of a running machine, with its pause as a notification. */
export async function quickSnapshot(app: App, machine: string, now: number): Promise<void> {
  const { name: machineName } = app.machine(machine);
  const screen = app.machines.screen(machine);
  const taken = await app.machines.call(machine, 'checkpoint', {
    name: `Quick snapshot ${timeOfDay(now)}`,
    ...(screen === undefined ? {} : { screen }),
  });
  const text = `Saved. The machine paused for ${pauseText(taken.pauseMicroseconds)}.`;
  app.notice({ level: 'info', title: machineName, text, machine });
}

export async function settleForSleep(app: App): Promise<void> {
  const { onSleep } = app.settings.settings;
  if (onSleep === 'nothing') return;
  await each(app, own(app), machine =>
    onSleep === 'suspend'
      ? suspend(app, machine.id)
      : app.machines.call(machine.id, 'checkpoint', { origin: 'automatic', name: 'Before sleep' }),
  );
}

/** Whether the app may end now. */
export async function settleForQuit(app: App): Promise<boolean> {
  const machines = own(app);
  if (machines.length === 0) return true;
  const how = await wish(app, machines);
  if (how === undefined) return false;
  app.announce({ event: 'quitting', machines: machines.map(({ id }) => id) });
  const left = await each(app, machines, async ({ id }) => {
    const status =
      how === 'suspend'
        ? await suspend(app, id)
        : await app.machines.call(id, 'stop', { timeoutSeconds: STOP_SECONDS });
    if (status.state !== 'off') throw new AfterimageError('state', 'The guest did not power off', { machine: id });
  });
  if (left.length === 0) return true;
  const answer = await app.platform.ask({
    title: 'Not every machine could be put away',
    detail: `${names(left)} still runs. Switched off without asking, the guest loses what it has not written.`,
    answers: ['Switch off and quit', 'Do not quit'],
  });
  if (answer !== 0) return false;
  await each(app, left, ({ id }) => app.machines.call(id, 'stop', { force: true }));
  return true;
}

/** Until the app is there again. */
async function suspend(app: App, machine: string): Promise<MachineStatus> {
  const status = await app.machines.call(machine, 'suspend', {});
  if (status.state === 'off') await app.putAway.add(machine);
  return status;
}

async function wish(app: App, machines: readonly MachineSummary[]): Promise<'suspend' | 'stop' | undefined> {
  const { onQuit } = app.settings.settings;
  if (onQuit !== 'ask') return onQuit;
  const answer = await app.platform.ask({
    title: machines.length === 1 ? 'A machine is running' : `${machines.length} machines are running`,
    detail: `${names(machines)}. A suspended machine goes on later where it is now.`,
    answers: ['Suspend', 'Power off', 'Do not quit'],
  });
  return ([`suspend`, `stop`] as const)[answer];
}

/** Those that another program runs are its own affair. */
function own(app: App): readonly MachineSummary[] {
  return app.running().filter(machine => !machine.foreign);
}

/** All at the same time; returns those with which it did not work, after telling so. */
async function each(
  app: App,
  machines: readonly MachineSummary[],
  work: (machine: MachineSummary) => Promise<unknown>,
): Promise<readonly MachineSummary[]> {
  const left = await Promise.all(
    machines.map(async machine => {
      try {
        await work(machine);
        return [];
      } catch (thrown) {
        const error = app.report(thrown, machine.name);
        app.notice({ level: 'error', title: machine.name, text: error.message, machine: machine.id, error });
        return [machine];
      }
    }),
  );
  return left.flat();
}

function names(machines: readonly MachineSummary[]): string {
  return machines.map(({ name }) => name).join(', ');
}

/** As the pages show it: in microseconds, until those say nothing any more. */
export function pauseText(microseconds: number): string {
  const whole = (value: number) => Math.round(value).toLocaleString('en-US');
  return microseconds < 100_000 ? `${whole(microseconds)} µs` : `${whole(microseconds / 1000)} ms`;
}

function timeOfDay(now: number): string {
  const date = new Date(now);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(part => String(part).padStart(2, '0')).join(':');
}
