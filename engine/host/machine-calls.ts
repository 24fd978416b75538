// What each call does.
import type { ArgumentsOf, CallName, ResultOf } from '../api/control.ts';
import type { MachineConfiguration } from '../api/machine.ts';
import type { DiskJobEvent } from '../api/messages.ts';
import { AfterimageError } from '../base/errors.ts';
import type { ControlClient } from './control-client.ts';
import type { MachineHost } from './machine-host.ts';
import type { JobNeed } from './machine-layers.ts';
import { askToPowerOff } from './machine-stop.ts';
import { checkpointDetails, treeView } from './machine-tree.ts';

/** How long a guest may take to power off unless the client says otherwise. */
const USUAL_PATIENCE_SECONDS = 60;

export interface Handlers {
  call(name: CallName, given: unknown, client: ControlClient): Promise<unknown>;
  hearDiskJob(event: DiskJobEvent): void;
  jobNeeds(): readonly JobNeed[];
  close(): Promise<void>;
}

type Handler<Name extends CallName> = (
  given: ArgumentsOf<Name>,
  client: ControlClient,
) => ResultOf<Name> | Promise<ResultOf<Name>>;

type Table = { readonly [Name in CallName]?: Handler<Name> };

const done = {};

export function machineCalls(host: MachineHost): Handlers {
  const table: Table = { ...machineTable(host), ...powerTable(host), ...consoleTable(host), ...treeTable(host) };
  return {
    async call(name, given, client) {
      const handler = table[name] as ((given: unknown, client: ControlClient) => unknown) | undefined;
      if (handler === undefined) throw new AfterimageError('unsupported', 'This is not possible yet', { call: name });
      return await handler(given, client);
    },
    hearDiskJob: () => undefined,
    jobNeeds: () => [],
    close: async () => undefined,
  };
}

function machineTable(host: MachineHost): Table {
  return {
    describe: () => host.engineParts.describe(),
    machine: () => host.folder.record,
    status: () => host.status(),
    configure: async ({ change }) => {
      if (host.power.on && !mayChangeWhileOn(change)) {
        throw new AfterimageError('state', 'This can only be changed while the machine is off');
      }
      await host.folder.change({ configuration: change });
      const machine = host.folder.record;
      host.announce({ event: 'machine', machine });
      return machine;
    },
  };
}

function mayChangeWhileOn(change: Partial<MachineConfiguration>): boolean {
  return Object.keys(change).every(name => name === 'name' || name === 'automatic');
}

function powerTable(host: MachineHost): Table {
  const { power } = host;
  return {
    start: async ({ guest, consoleSize, paused }) => {
      await power.start({ guest, consoleSize, paused });
      return await host.status();
    },
    stop: async ({ force, timeoutSeconds = USUAL_PATIENCE_SECONDS }) => {
      if (force === true) await power.cut();
      else if (power.on) {
        if (power.paused) throw new AfterimageError('state', 'The machine is paused; resume it, or force it off');
        await askToPowerOff({ console: host.console, over: power.over(), timeoutSeconds });
      }
      return await host.status();
    },
    pause: async () => {
      power.pause();
      return await host.status();
    },
    resume: async () => {
      power.resume();
      return await host.status();
    },
    reset: async () => {
      if (!power.on) throw new AfterimageError('state', 'The machine is not running');
      await power.cut();
      await power.start({});
      host.announce({ event: 'restarted' });
      return await host.status();
    },
  };
}

function consoleTable(host: MachineHost): Table {
  return {
    'console-attach': ({ scrollback }, client) => {
      client.attach(host.console, scrollback);
      return done;
    },
    'console-detach': (_, client) => {
      client.detach();
      return done;
    },
    'console-input': async ({ bytes }) => {
      await host.console.input(bytes);
      return done;
    },
    'console-resize': size => {
      host.power.resize(size);
      return done;
    },
    'console-taken': ({ count }, client) => {
      client.taken(count);
      return done;
    },
  };
}

function treeTable(host: MachineHost): Table {
  return {
    tree: async () => treeView(await host.tree()),
    details: async ({ id }) => await checkpointDetails(await host.tree(), id),
    disks: () => host.layers.views(),
    jobs: () => host.jobs.views,
  };
}
