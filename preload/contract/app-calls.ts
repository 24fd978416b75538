// Everything that a page can ask of the app, by name: arguments as checks, results as types.
import * as v from 'valibot';
import type { Identity } from '../../engine/api/machine.ts';
import { LONGEST_APPEND, MOST_DISKS } from '../../engine/api/settings.ts';
import type { ChosenFile, FilePreview } from './files.ts';
import type { AboutView, ActivityEntry, DeletionPreview, LibraryView } from './library.ts';
import { MACHINE_CALLS } from './machine-calls.ts';
import { type AppSettings, settingsChange } from './settings.ts';
import {
  automatic,
  count,
  diskMode,
  fileToken,
  identity,
  LONGEST,
  layerFormat,
  layerPath,
  machineName,
  memorySize,
  nothing,
  screenText,
} from './shapes.ts';

export interface AppCall<Arguments extends v.GenericSchema, Result> {
  readonly arguments: Arguments;
  /** Only a type; never there at run time. */
  readonly result?: Result;
}

function call<Result>() {
  return <Arguments extends v.GenericSchema>(schema: Arguments): AppCall<Arguments, Result> => ({ arguments: schema });
}

type Nothing = Readonly<Record<never, never>>;

const machine = { machine: identity };
const append = v.exactOptional(v.pipe(v.string(), v.maxLength(LONGEST_APPEND), v.regex(/^[\x20-\x7e]*$/)));

export const bootChoice = v.union([
  v.strictObject({ kind: v.literal('guest'), append }),
  v.strictObject({
    kind: v.literal('files'),
    kernel: v.exactOptional(fileToken),
    initrd: v.exactOptional(fileToken),
    firmware: v.exactOptional(fileToken),
    elf: v.exactOptional(fileToken),
    append,
  }),
]);

export const newDisk = v.union([
  v.strictObject({ kind: v.literal('new'), size: v.pipe(count, v.minValue(512)), format: layerFormat }),
  /** Copied into the machine's folder; what was chosen stays as it is. */
  v.strictObject({ kind: v.literal('existing'), file: fileToken, format: layerFormat, mode: diskMode }),
]);

/** `same`: what the machine has for it now. */
const keptOrChosen = v.exactOptional(v.union([v.literal('same'), fileToken]));
const changedBoot = v.union([
  v.strictObject({ kind: v.literal('guest'), append }),
  v.strictObject({
    kind: v.literal('files'),
    kernel: keptOrChosen,
    initrd: keptOrChosen,
    firmware: keptOrChosen,
    elf: keptOrChosen,
    append,
  }),
]);

/** One that the machine had and that was kept is known by its layer. */
export const addedDisk = v.union([
  ...newDisk.options,
  v.strictObject({ kind: v.literal('detached'), file: layerPath }),
]);

const machineCall = v.strictObject({
  ...machine,
  name: v.picklist(Object.keys(MACHINE_CALLS) as (keyof typeof MACHINE_CALLS)[]),
  /** Checked by MACHINE_CALLS. */
  arguments: v.unknown(),
});

export const APP_CALLS = {
  library: call<LibraryView>()(nothing),
  'create-machine': call<{ readonly machine: Identity }>()(
    v.strictObject({
      name: machineName,
      memory: memorySize,
      boot: bootChoice,
      disks: v.pipe(v.array(newDisk), v.maxLength(MOST_DISKS)),
      automatic: v.exactOptional(automatic),
      start: v.exactOptional(v.boolean()),
    }),
  ),
  'rename-machine': call<Nothing>()(v.strictObject({ ...machine, name: machineName })),
  /** Only while it is off. */
  'add-disk': call<Nothing>()(v.strictObject({ ...machine, disk: addedDisk })),
  'change-boot': call<Nothing>()(v.strictObject({ ...machine, boot: changedBoot })),
  /** Settings, disks as they are now and no checkpoints, with a new identity. Only while it is off. */
  'duplicate-machine': call<{ readonly machine: Identity }>()(v.strictObject({ ...machine, name: machineName })),
  'deletion-preview': call<DeletionPreview>()(v.strictObject(machine)),
  'delete-machine': call<Nothing>()(v.strictObject(machine)),
  /** Shows its folder in the file manager; where `platform.canReveal`. */
  'reveal-machine': call<Nothing>()(v.strictObject(machine)),
  /** Of the machine's process, by MACHINE_CALLS; see `Afterimage.machine`. */
  'machine-call': call<unknown>()(machineCall),
  /** A new machine that goes on from a checkpoint, with its own identity. */
  'clone-checkpoint': call<{ readonly machine: Identity }>()(
    v.strictObject({ ...machine, id: identity, name: machineName }),
  ),
  /** Asks where to, and makes a self-contained file there. `saved` is absent when the user gave up. */
  'export-checkpoint': call<{ readonly saved?: string; readonly bytes?: number }>()(
    v.strictObject({ ...machine, id: identity }),
  ),
  /** Makes the file that `start-drag` hands out, if it is not there yet; progress comes as a job. */
  'prepare-drag': call<{ readonly name: string; readonly bytes: number }>()(
    v.strictObject({ ...machine, id: identity }),
  ),
  /** While the mouse button is down on the node. `started` is false when there is no file yet. */
  'start-drag': call<{ readonly started: boolean }>()(v.strictObject({ ...machine, id: identity })),
  'preview-file': call<FilePreview>()(v.strictObject({ file: fileToken })),
  'import-checkpoint': call<{ readonly machine: Identity; readonly name: string }>()(
    v.strictObject({ file: fileToken, name: v.exactOptional(machineName), start: v.exactOptional(v.boolean()) }),
  ),
  /** It will not be used any more; an upload is deleted. */
  'release-file': call<Nothing>()(v.strictObject({ file: fileToken })),
  /** Files that the system asked to open before the page was there; each is told once. */
  'opened-files': call<readonly ChosenFile[]>()(nothing),
  settings: call<AppSettings>()(nothing),
  'change-settings': call<AppSettings>()(v.strictObject({ change: settingsChange })),
  /** Newest first. */
  activity: call<readonly ActivityEntry[]>()(nothing),
  'clear-activity': call<Nothing>()(nothing),
  about: call<AboutView>()(nothing),
  /** Only https, and only after the user agreed to it in a dialog of the host. */
  'open-external': call<{ readonly opened: boolean }>()(
    v.strictObject({ url: v.pipe(v.string(), v.maxLength(LONGEST.url), v.url(), v.startsWith('https://')) }),
  ),
  /** A window with nothing but this console. */
  'detach-console': call<Nothing>()(v.strictObject(machine)),
  /** What a terminal shows, for thumbnails and for checkpoints that no page takes. */
  'report-screen': call<Nothing>()(v.strictObject({ ...machine, screen: screenText })),
  /** The quick snapshot of the tray and the shortcut. */
  'quick-snapshot': call<Nothing>()(v.strictObject(machine)),
};

export type AppCalls = typeof APP_CALLS;
export type AppCallName = keyof AppCalls;
export type AppArguments<Name extends AppCallName> = v.InferOutput<AppCalls[Name]['arguments']>;
export type AppResult<Name extends AppCallName> = NonNullable<AppCalls[Name]['result']>;
export type NewMachine = AppArguments<'create-machine'>;

export function isAppCall(name: string): name is AppCallName {
  return Object.hasOwn(APP_CALLS, name);
}
