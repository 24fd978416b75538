// What each call does.
import type { ArgumentsOf, CallName, ResultOf } from '../api/control.ts';
import type { MachineConfiguration } from '../api/machine.ts';
import { AfterimageError } from '../base/errors.ts';
import type { ControlClient } from './control-client.ts';
import { refuseOtherBoot } from './expected-files.ts';
import { hostAbilities } from './host-abilities.ts';
import { layerMap } from './layer-map.ts';
import { compareCheckpoints } from './machine-compare.ts';
import { cloneTo, exportTo } from './machine-copies.ts';
import { DISKS } from './machine-folder.ts';
import type { MachineHost } from './machine-host.ts';
import { checkpointDetails, treeView } from './machine-tree.ts';

/** How long a guest may take to power off, and a command to end, unless the client says otherwise. */
const USUAL_PATIENCE_SECONDS = 60;

export interface Handlers {
  call(name: CallName, given: unknown, client: ControlClient): Promise<unknown>;
}

type Handler<Name extends CallName> = (
  given: ArgumentsOf<Name>,
  client: ControlClient,
) => ResultOf<Name> | Promise<ResultOf<Name>>;

type Table = { readonly [Name in CallName]?: Handler<Name> };

const done = {};

export function machineCalls(host: MachineHost): Handlers {
  const table: Table = {
    ...machineTable(host),
    ...diskSetTable(host),
    ...powerTable(host),
    ...consoleTable(host),
    ...treeTable(host),
    ...checkpointTable(host),
    ...memoryTable(host),
  };
  return {
    async call(name, given, client) {
      const handler = table[name] as ((given: unknown, client: ControlClient) => unknown) | undefined;
      if (handler === undefined) throw new AfterimageError('unsupported', 'This is not possible yet', { call: name });
      return await handler(given, client);
    },
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
      if (change.boot !== undefined) await refuseOtherBoot(change.boot);
      const disks = await host.diskSet.checkChange(change);
      await host.folder.change({ configuration: { ...change, ...disks } });
      const machine = host.folder.record;
      host.announce({ event: 'machine', machine });
      if (change.automatic !== undefined) host.checkpoints.schedule();
      return machine;
    },
  };
}

function diskSetTable(host: MachineHost): Table {
  const { diskSet, folder, layers } = host;
  return {
    'add-disk': async ({ disk }) => {
      await host.transition('getting another disk', () => diskSet.add(disk));
      return folder.record;
    },
    'remove-disk': async ({ disk, files }) => {
      await host.transition('losing a disk', () => diskSet.remove(disk, files));
      return folder.record;
    },
    'disk-removal': ({ disk }) => diskSet.removal(disk),
    'detached-disks': () => layers.detached(),
    'delete-detached': async ({ file }) => {
      await diskSet.deleteDetached(file);
      return done;
    },
  };
}

function mayChangeWhileOn(change: Partial<MachineConfiguration>): boolean {
  return Object.keys(change).every(name => name === 'name' || name === 'automatic');
}

function powerTable(host: MachineHost): Table {
  const { power, runs } = host;
  return {
    start: async given => {
      await host.transition('starting', () => runs.start(given));
      return await host.status();
    },
    stop: async ({ force = false, timeoutSeconds = USUAL_PATIENCE_SECONDS }) => {
      // Forcing it off helps also against what does not come to its end.
      if (force) await power.cut();
      else await host.transition('powering off', () => runs.askToStop(timeoutSeconds));
      return await host.status();
    },
    suspend: async () => {
      await host.transition('being suspended', () => runs.suspend());
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
      await host.transition('restarting', async () => {
        await power.cut();
        await runs.start({ fresh: true });
      });
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
    exec: async ({ stream = false, ...given }, client) => {
      if (!host.power.on) throw new AfterimageError('state', 'The machine is not running');
      if (host.power.paused) throw new AfterimageError('state', 'The machine is paused');
      const { promptSeconds = USUAL_PATIENCE_SECONDS, timeoutSeconds = USUAL_PATIENCE_SECONDS } = given;
      const output = stream ? client.execOutput(host.console) : undefined;
      const options = { ...given, promptSeconds, timeoutSeconds, stream: output?.listen };
      const executed = await host.exec.run(options, () => host.power.over());
      const missed = output?.missed() ?? 0;
      return missed === 0 ? executed : { ...executed, missed };
    },
    'exec-taken': ({ count }, client) => {
      client.execTaken(count);
      return done;
    },
    'console-taken': ({ count }, client) => {
      client.taken(count);
      return done;
    },
  };
}

function checkpointTable(host: MachineHost): Table {
  const { checkpoints, deletions, runs } = host;
  /** The list is another one for everybody. */
  const changed = () => {
    host.announce({ event: 'tree' });
    return done;
  };
  return {
    checkpoint: given => checkpoints.take(given),
    'cancel-checkpoint': () => {
      checkpoints.cancel();
      return done;
    },
    compare: ({ from, to }) => compareCheckpoints(host, from, to),
    verify: ({ deep = false }) => checkpoints.verify(deep),
    'rename-checkpoint': async ({ id, name }) => {
      await (await host.tree()).rename(id, name);
      return changed();
    },
    'annotate-checkpoint': async ({ id, note }) => {
      await (await host.tree()).annotate(id, note);
      return changed();
    },
    'protect-checkpoint': async ({ id, protected: value }) => {
      await (await host.tree()).protect(id, value);
      return changed();
    },
    'keep-checkpoint': async ({ id }) => {
      await (await host.tree()).keep(id);
      return changed();
    },
    'delete-checkpoint': async ({ id, subtree = false }) => ({ deleted: await deletions.delete(id, subtree) }),
    'persist-checkpoint': async ({ id, store }) => {
      await checkpoints.persist(id, store);
      return done;
    },
    clone: given => cloneTo(host, given),
    export: ({ id, file }) => exportTo(host, id, file),
    restore: given => host.transition('going back to a checkpoint', () => runs.restore(given)),
  };
}

function memoryTable({ power }: MachineHost): Table {
  return {
    memory: ({ range, groups }) => power.engine.memory.view(range, groups),
    virtualize: async ({ range }) => {
      await power.engine.memory.virtualize(range);
      return done;
    },
    devirtualize: async ({ range, ...options }) => {
      await power.engine.memory.devirtualize(range, options);
      return done;
    },
    share: async () => {
      await power.engine.memory.share();
      return done;
    },
    scatter: async ({ range, seed = 1 }) => {
      await power.engine.memory.scatter(seed, range);
      return done;
    },
  };
}

function treeTable(host: MachineHost): Table {
  return {
    tree: async () => treeView(await host.tree()),
    details: async ({ id }) => await checkpointDetails(await host.tree(), id),
    disks: async () => {
      const abilities = await hostAbilities(host.folder.inside(DISKS));
      const views = await host.layers.views();
      return abilities === undefined ? views : views.map(view => ({ ...view, host: abilities }));
    },
    'disk-map': async ({ layer, most }) =>
      await layerMap(host.folder.path, layer, await host.layers.formatOf(layer), most),
    'disk-job': given => host.diskJobs.start(given),
    'disk-job-preview': given => host.diskJobs.preview(given),
    'cancel-job': ({ job }) => {
      host.jobs.cancel(job);
      return done;
    },
    'limit-job': ({ job, bytesPerSecond }) => {
      host.jobs.limit(job, bytesPerSecond);
      return done;
    },
    jobs: () => host.jobs.views,
  };
}
