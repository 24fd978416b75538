// What the app may ask of a machine's process: a part of engine/api/control.ts, without paths of the host. Consoles
// have ports of their own, and what needs a path (clone, export) is an app call with a token or a dialog instead.
import * as v from 'valibot';
import type { ArgumentsOf, ControlCalls, ResultOf } from '../../engine/api/control.ts';
import { MOST_DISKS } from '../../engine/api/settings.ts';
import {
  automatic,
  checkpointName,
  count,
  diskMode,
  fileToken,
  identity,
  LONGEST,
  layerFormat,
  layerPath,
  machineName,
  memorySize,
  note,
  nothing,
  pageRange,
  screenText,
} from './shapes.ts';

/** `raw:` and a token: the host puts the path of the chosen file or device in its place. */
const store = v.union([
  v.picklist(['file', 'ram']),
  v.pipe(
    v.string(),
    v.check(text => text.startsWith('raw:') && v.is(fileToken, text.slice(4)), 'Not a store'),
  ),
]);

const seconds = v.pipe(v.number(), v.minValue(0), v.maxValue(24 * 60 * 60));

const diskNumber = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_DISKS - 1));
const knownDisk = v.strictObject({
  file: layerPath,
  format: layerFormat,
  mode: diskMode,
  id: v.exactOptional(v.pipe(v.string(), v.regex(/^[a-z0-9]{1,32}$/))),
});

const diskJob = v.strictObject({
  disk: diskNumber,
  kind: v.picklist(['overlay', 'commit', 'stream', 'compact', 'check', 'resize', 'delete']),
  layer: v.exactOptional(layerPath),
  size: v.exactOptional(count),
  repair: v.exactOptional(v.boolean()),
  compress: v.exactOptional(v.boolean()),
  bytesPerSecond: v.exactOptional(count),
});

const id = { id: identity };

export const MACHINE_CALLS = {
  describe: nothing,
  machine: nothing,
  status: nothing,
  configure: v.strictObject({
    change: v.strictObject({
      name: v.exactOptional(machineName),
      memory: v.exactOptional(memorySize),
      /** Order and modes of those that there are. */
      disks: v.exactOptional(v.pipe(v.array(knownDisk), v.maxLength(MOST_DISKS))),
      automatic: v.exactOptional(automatic),
    }),
  }),
  'remove-disk': v.strictObject({ disk: diskNumber, files: v.picklist(['keep', 'delete']) }),
  'disk-removal': v.strictObject({ disk: diskNumber }),
  'detached-disks': nothing,
  'delete-detached': v.strictObject({ file: layerPath }),
  start: v.strictObject({ fresh: v.exactOptional(v.boolean()), paused: v.exactOptional(v.boolean()) }),
  stop: v.strictObject({ force: v.exactOptional(v.boolean()), timeoutSeconds: v.exactOptional(seconds) }),
  suspend: nothing,
  pause: nothing,
  resume: nothing,
  reset: nothing,
  checkpoint: v.strictObject({
    name: v.exactOptional(checkpointName),
    note: v.exactOptional(note),
    full: v.exactOptional(v.boolean()),
    store: v.exactOptional(store),
    pending: v.exactOptional(v.picklist(['copy', 'reissue', 'wait'])),
    copyDisks: v.exactOptional(v.boolean()),
    screen: v.exactOptional(screenText),
  }),
  'cancel-checkpoint': nothing,
  tree: nothing,
  details: v.strictObject(id),
  compare: v.strictObject({ from: identity, to: identity }),
  verify: v.strictObject({ deep: v.exactOptional(v.boolean()) }),
  'rename-checkpoint': v.strictObject({ ...id, name: checkpointName }),
  'annotate-checkpoint': v.strictObject({ ...id, note }),
  'protect-checkpoint': v.strictObject({ ...id, protected: v.boolean() }),
  'keep-checkpoint': v.strictObject(id),
  'delete-checkpoint': v.strictObject({ ...id, subtree: v.exactOptional(v.boolean()) }),
  'persist-checkpoint': v.strictObject({ ...id, store }),
  restore: v.strictObject({
    ...id,
    keepCurrent: v.exactOptional(v.boolean()),
    paused: v.exactOptional(v.boolean()),
  }),
  memory: v.strictObject({
    range: v.exactOptional(pageRange),
    groups: v.exactOptional(v.pipe(count, v.minValue(1), v.maxValue(1_048_576))),
  }),
  virtualize: v.strictObject({ range: v.exactOptional(pageRange) }),
  devirtualize: v.strictObject({
    range: v.exactOptional(pageRange),
    mode: v.exactOptional(v.picklist(['concurrent', 'paused'])),
    reverse: v.exactOptional(v.picklist(['backmap', 'refcount', 'search'])),
  }),
  share: nothing,
  scatter: v.strictObject({ range: v.exactOptional(pageRange), seed: v.exactOptional(count) }),
  disks: nothing,
  'disk-map': v.strictObject({
    layer: layerPath,
    most: v.exactOptional(v.pipe(count, v.minValue(1), v.maxValue(100_000))),
  }),
  'disk-job': diskJob,
  'disk-job-preview': diskJob,
  jobs: nothing,
  'cancel-job': v.strictObject({ job: count }),
  'limit-job': v.strictObject({ job: count, bytesPerSecond: v.exactOptional(count) }),
  exec: v.strictObject({
    command: v.pipe(v.string(), v.maxLength(LONGEST.command)),
    timeoutSeconds: v.exactOptional(seconds),
  }),
} satisfies { readonly [Name in keyof ControlCalls]?: v.GenericSchema<ArgumentsOf<Name>> };

export type MachineCallName = keyof typeof MACHINE_CALLS;
export type MachineArguments<Name extends MachineCallName> = v.InferOutput<(typeof MACHINE_CALLS)[Name]>;
export type MachineResult<Name extends MachineCallName> = ResultOf<Name>;

export function isMachineCall(name: string): name is MachineCallName {
  return Object.hasOwn(MACHINE_CALLS, name);
}
