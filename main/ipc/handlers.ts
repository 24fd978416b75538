// What each call does. Arguments have been checked; errors are turned into answers by the caller.
import type { BootConfiguration, NewDisk } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { AppArguments, AppCallName, AppResult, NewMachine } from '../../preload/contract/app-calls.ts';
import { checkMachineArguments } from '../../preload/contract/check.ts';
import type { FilePreview } from '../../preload/contract/files.ts';
import type { MachineCallName } from '../../preload/contract/machine-calls.ts';
import type { App } from './app.ts';
import { isRunning } from './menus.ts';
import type { Page } from './platform.ts';

export type Handlers = {
  readonly [Name in AppCallName]: (
    arguments_: AppArguments<Name>,
    page: Page,
  ) => Promise<AppResult<Name>> | AppResult<Name>;
};

const NOTHING = {};

export function handlers(app: App): Handlers {
  const { machines, platform, files, drags } = app;
  return {
    library: () => machines.view(),
    'create-machine': async request => {
      const machine = await machines.create({
        name: request.name,
        memory: request.memory,
        boot: bootOf(app, request.boot),
        disks: request.disks.map(disk => diskOf(app, disk)),
        ...(request.automatic === undefined ? {} : { automatic: request.automatic }),
      });
      app.activity.add(machine, { kind: 'created' });
      if (request.start === true) await machines.call(machine, 'start', {});
      return { machine };
    },
    'rename-machine': async ({ machine, name }) => {
      await machines.rename(machine, name);
      return NOTHING;
    },
    'add-disk': async ({ machine, disk }) => {
      app.machine(machine);
      await machines.call(machine, 'add-disk', { disk: disk.kind === 'detached' ? disk : diskOf(app, disk) });
      return NOTHING;
    },
    'change-boot': async ({ machine, boot }) => {
      const known = app.machine(machine).record?.boot;
      await machines.call(machine, 'configure', { change: { boot: bootOf(app, boot, known) } });
      return NOTHING;
    },
    'duplicate-machine': async ({ machine, name }) => {
      const copy = await machines.duplicate(machine, name);
      app.activity.add(copy, { kind: 'created' });
      return { machine: copy };
    },
    'deletion-preview': async ({ machine }) => {
      const summary = app.machine(machine);
      const facts = await machines.facts(machine);
      return { name: summary.name, ...facts, trash: app.hasTrash, running: isRunning(summary) };
    },
    'delete-machine': async ({ machine }) => {
      app.machine(machine);
      app.activity.add(machine, { kind: 'deleted' });
      await machines.remove(machine, folder => app.discard(folder));
      return NOTHING;
    },
    'reveal-machine': ({ machine }) => {
      platform.reveal(app.machine(machine).folder);
      return NOTHING;
    },
    'machine-call': ({ machine, name, arguments: given }) => machineCall(app, machine, name, given),
    'clone-checkpoint': async ({ machine, id, name }) => {
      const clone = await machines.clone(machine, id, name);
      app.activity.add(clone, { kind: 'created' });
      return { machine: clone };
    },
    'export-checkpoint': async ({ machine, id }, page) => {
      const file = await platform.chooseSave(await drags.suggestedName(machine, id), page);
      if (file === undefined) return {};
      return { saved: file, bytes: await drags.exportTo(machine, id, file) };
    },
    'prepare-drag': async ({ machine, id }) => {
      const { name, bytes } = await drags.prepare(machine, id);
      return { name, bytes };
    },
    'start-drag': ({ machine, id }, page) => {
      const ready = drags.ready(machine, id);
      if (ready !== undefined) platform.startDrag(page, ready.file);
      return { started: ready !== undefined };
    },
    'preview-file': ({ file }) => preview(app, file),
    'import-checkpoint': async ({ file, name, start }) => {
      const made = await machines.import(files.path(file), name);
      app.activity.add(made.machine, { kind: 'imported' });
      if (start === true) await machines.call(made.machine, 'start', {});
      return made;
    },
    'release-file': async ({ file }) => {
      await files.release(file);
      return NOTHING;
    },
    'opened-files': () => app.takeOpenedFiles(),
    settings: () => app.settings.settings,
    'change-settings': ({ change }) => app.changeSettings(change),
    activity: () => app.activity.list(),
    'clear-activity': async () => {
      await app.activity.clear();
      return NOTHING;
    },
    about: () => ({
      version: app.version,
      versions: platform.versions,
      platform: `${process.platform} ${process.arch}`,
      libraryFolder: machines.view().folder,
    }),
    'open-external': async ({ url }, page) => ({ opened: await openExternal(app, url, page) }),
    'detach-console': ({ machine }) => {
      platform.openConsole(machine, app.machine(machine).name);
      return NOTHING;
    },
    'report-screen': ({ machine, screen }) => {
      machines.setScreen(app.machine(machine).id, screen);
      return NOTHING;
    },
    'quick-snapshot': async ({ machine }) => {
      await app.quickSnapshot(machine);
      return NOTHING;
    },
  };
}

async function machineCall(app: App, machine: string, name: MachineCallName, given: unknown): Promise<unknown> {
  app.machine(machine);
  const checked = checkMachineArguments(name, given) as { readonly store?: string };
  const { store } = checked;
  // A place of the user's choice, known to the page by token only.
  const arguments_ = store?.startsWith('raw:')
    ? { ...checked, store: `raw:${app.files.path(store.slice(4))}` }
    : checked;
  return await app.machines.call(machine, name, arguments_ as never);
}

/** `known`: what the machine boots now, of which files may stay. */
function bootOf(
  app: App,
  boot: AppArguments<'change-boot'>['boot'],
  known: BootConfiguration = { kind: 'guest' },
): BootConfiguration {
  if (boot.kind === 'guest') return boot;
  const { kernel, firmware, elf } = boot;
  if (kernel === undefined && firmware === undefined && elf === undefined) {
    throw new AfterimageError('usage', 'Choose a kernel, a firmware or a program for the machine');
  }
  const parts = ['kernel', 'initrd', 'firmware', 'elf'] as const;
  const files: { [part in (typeof parts)[number]]?: string } = {};
  for (const part of parts) {
    const token = boot[part];
    const now = known.kind === 'files' ? known[part] : undefined;
    const file = token === undefined || token === 'same' ? token && now : app.files.path(token);
    if (file !== undefined) files[part] = file;
  }
  return {
    kind: 'files',
    ...files,
    ...(boot.append === undefined ? {} : { append: boot.append }),
  };
}

function diskOf(app: App, disk: NewMachine['disks'][number]): NewDisk {
  if (disk.kind === 'new') return disk;
  return { kind: 'existing', path: app.files.path(disk.file), format: disk.format, mode: disk.mode };
}

/** Only a process made for it looks into the file. */
async function preview(app: App, token: string): Promise<FilePreview> {
  const file = app.files.path(token);
  const chosen = app.files.describe(token);
  switch (chosen.kind) {
    case 'checkpoint':
      return { kind: 'checkpoint', preview: await app.machines.preview(file) };
    case 'qcow2':
    case 'raw':
      return { kind: 'disk', ...(await app.machines.diskFacts(file, chosen.kind)) };
    case 'kernel':
    case 'unknown':
      return { kind: chosen.kind, bytes: chosen.bytes };
  }
}

async function openExternal(app: App, url: string, page: Page): Promise<boolean> {
  // Parsed, so that what is shown is what is opened.
  const { href, protocol } = new URL(url);
  if (protocol !== 'https:') throw new AfterimageError('denied', 'Only https addresses are opened');
  const detail = `${href}\n\nIt is opened in your web browser, outside of Afterimage.`;
  const answer = await app.platform.ask({ title: 'Open this address?', detail, answers: ['Open', 'Cancel'] }, page);
  if (answer !== 0) return false;
  await app.platform.openExternal(href);
  return true;
}
