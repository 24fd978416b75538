// The arguments of calls, checked where they arrive (STYLE 12). Types end at the border of a process.
import * as v from 'valibot';
import { AfterimageError } from '../base/errors.ts';
import { type ArgumentsOf, type CallName, type FolderCalls, MOST_EXEC_INPUT } from './control.ts';
import {
  addedDisk,
  checked,
  diskSize,
  hostPath,
  identity,
  layerPath,
  machineChange,
  machineName,
  newMachine,
  text,
  whole,
} from './machine-checks.ts';
import { LONGEST_APPEND, MEMORY_LIMITS, MIB, MOST_DISKS } from './settings.ts';

const LONGEST_CHECKPOINT_NAME = 200;
const LONGEST_NOTE = 16_384;
const LONGEST_COMMAND = 16_384;
const LARGEST_INPUT = 1024 * 1024;
/** Longer than anybody waits: a day. */
const MOST_SECONDS = 86_400;
const MOST_PAGES = MEMORY_LIMITS.largest / 4096;
const MOST_RANGES = 65_536;

const optional = v.exactOptional;
const nothing = v.strictObject({});
const flag = optional(v.boolean());
const seconds = optional(v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(MOST_SECONDS)));
const count = whole(0, Number.MAX_SAFE_INTEGER);
const bytesUpTo = (most: number) =>
  v.pipe(
    v.custom<Uint8Array>(value => value instanceof Uint8Array, 'must be bytes'),
    v.check(bytes => bytes.length <= most, `must be at most ${most / MIB} MiB`),
  );
const id = v.strictObject({ id: identity });
const consoleSize = v.strictObject({ rows: whole(1, 0xffff), columns: whole(1, 0xffff) });
const range = optional(v.strictObject({ first: whole(0, MOST_PAGES), count: whole(1, MOST_PAGES) }));
const guest = optional(v.strictObject({ kernel: hostPath, initrd: hostPath, append: text(LONGEST_APPEND) }));
const store = v.pipe(text(4200), v.regex(/^(file|ram|raw:.+)$/s, 'must be file, ram or raw: and a path'));
const screen = v.strictObject({
  columns: whole(1, 0xffff),
  rows: whole(1, 0xffff),
  lines: v.pipe(v.array(text(4096)), v.maxLength(500)),
});
const bytesPerSecond = optional(whole(1, Number.MAX_SAFE_INTEGER));

const diskNumber = whole(0, MOST_DISKS - 1);
const diskJob = v.strictObject({
  disk: diskNumber,
  kind: v.picklist(['overlay', 'commit', 'stream', 'compact', 'check', 'resize', 'delete']),
  layer: optional(layerPath),
  size: optional(diskSize),
  repair: flag,
  compress: flag,
  bytesPerSecond,
});

/** What the arguments of each call must be like. */
export const CALL_CHECKS = {
  describe: nothing,
  machine: nothing,
  status: nothing,
  configure: v.strictObject({ change: machineChange }),
  'add-disk': v.strictObject({ disk: addedDisk }),
  'remove-disk': v.strictObject({ disk: diskNumber, files: v.picklist(['keep', 'delete']) }),
  'disk-removal': v.strictObject({ disk: diskNumber }),
  'detached-disks': nothing,
  'delete-detached': v.strictObject({ file: layerPath }),
  start: v.strictObject({ fresh: flag, paused: flag, guest, consoleSize: optional(consoleSize) }),
  stop: v.strictObject({ force: flag, timeoutSeconds: seconds }),
  suspend: nothing,
  pause: nothing,
  resume: nothing,
  reset: nothing,
  checkpoint: v.strictObject({
    name: optional(text(LONGEST_CHECKPOINT_NAME)),
    note: optional(text(LONGEST_NOTE)),
    origin: optional(v.picklist(['manual', 'automatic'])),
    full: flag,
    store: optional(store),
    pending: optional(v.picklist(['copy', 'reissue', 'wait'])),
    copyDisks: flag,
    screen: optional(screen),
  }),
  'cancel-checkpoint': nothing,
  tree: nothing,
  details: id,
  compare: v.strictObject({ from: identity, to: identity }),
  verify: v.strictObject({ deep: flag }),
  'rename-checkpoint': v.strictObject({ id: identity, name: text(LONGEST_CHECKPOINT_NAME) }),
  'annotate-checkpoint': v.strictObject({ id: identity, note: text(LONGEST_NOTE) }),
  'protect-checkpoint': v.strictObject({ id: identity, protected: v.boolean() }),
  'keep-checkpoint': id,
  'delete-checkpoint': v.strictObject({ id: identity, subtree: flag }),
  'persist-checkpoint': v.strictObject({ id: identity, store }),
  restore: v.strictObject({ id: identity, keepCurrent: flag, paused: flag, guest }),
  clone: v.strictObject({ id: identity, folder: hostPath, name: machineName }),
  export: v.strictObject({ id: identity, file: hostPath }),
  memory: v.strictObject({ range, groups: optional(whole(1, MOST_PAGES)) }),
  virtualize: v.strictObject({ range }),
  devirtualize: v.strictObject({
    range,
    mode: optional(v.picklist(['concurrent', 'paused'])),
    reverse: optional(v.picklist(['backmap', 'refcount', 'search'])),
  }),
  share: nothing,
  scatter: v.strictObject({ range, seed: optional(whole(0, 0xffff_ffff)) }),
  disks: nothing,
  'disk-map': v.strictObject({ layer: layerPath, most: optional(whole(1, MOST_RANGES)) }),
  'disk-job': diskJob,
  'disk-job-preview': diskJob,
  jobs: nothing,
  'cancel-job': v.strictObject({ job: count }),
  'limit-job': v.strictObject({ job: count, bytesPerSecond }),
  'console-attach': v.strictObject({ scrollback: optional(count) }),
  'console-detach': nothing,
  'console-input': v.strictObject({
    bytes: bytesUpTo(LARGEST_INPUT),
  }),
  'console-resize': consoleSize,
  'console-taken': v.strictObject({ count }),
  exec: v.strictObject({
    command: v.pipe(text(LONGEST_COMMAND), v.nonEmpty()),
    promptSeconds: seconds,
    timeoutSeconds: seconds,
    input: optional(bytesUpTo(MOST_EXEC_INPUT)),
    stream: flag,
  }),
  'exec-taken': v.strictObject({ count }),
} satisfies Readonly<Record<CallName, v.GenericSchema>>;

export const FOLDER_CALL_CHECKS = {
  create: v.strictObject({ folder: hostPath, machine: newMachine }),
  preview: v.strictObject({ file: hostPath }),
  import: v.strictObject({ file: hostPath, folder: hostPath, name: optional(machineName) }),
} satisfies Readonly<Record<keyof FolderCalls, v.GenericSchema>>;

export function isCallName(name: string): name is CallName {
  return Object.hasOwn(CALL_CHECKS, name);
}

/** Fields that are present without a value count as absent. @throws AfterimageError `usage` with the field's name */
export function checkArguments<Name extends CallName>(name: Name, value: unknown): ArgumentsOf<Name> {
  return checked(
    CALL_CHECKS[name],
    withoutUndefined(value, 0),
    'usage',
    `The argument of ${name}`,
  ) as ArgumentsOf<Name>;
}

export function checkFolderArguments<Name extends keyof FolderCalls>(
  name: Name,
  value: unknown,
): FolderCalls[Name]['arguments'] {
  const checks: v.GenericSchema = FOLDER_CALL_CHECKS[name];
  return checked(checks, withoutUndefined(value, 0), 'usage', `The argument of ${name}`) as never;
}

/** Deeper than any argument is. */
const DEEPEST = 8;

function withoutUndefined(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (depth > DEEPEST) throw new AfterimageError('usage', 'The arguments are nested too deeply');
  if (Array.isArray(value) && depth === 0) throw new AfterimageError('usage', 'The arguments must be an object');
  if (Array.isArray(value)) return value.map(one => withoutUndefined(one, depth + 1));
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([key, one]) => [key, withoutUndefined(one, depth + 1)]));
}
