// What a machine's configuration and `machine.json` must be like. Others may have written them, so all of it is checked.
import * as v from 'valibot';
import { AfterimageError, type ErrorKind } from '../base/errors.ts';
import { type MachineRecord, USUAL_AUTOMATIC } from './machine.ts';
import { LONGEST_APPEND, MEMORY_LIMITS, MOST_DISKS } from './settings.ts';

export const LONGEST_PATH = 4096;
const LONGEST_MACHINE_NAME = 100;
/** A checkpoint every week is the rarest that makes sense. */
const MOST_MINUTES = 7 * 24 * 60;
/** Layers that are remembered as perhaps needed by nobody. */
export const MOST_GARBAGE = 4096;
const MOST_KEPT = 10_000;
/** Disks that are kept beside those of the machine. */
export const MOST_DETACHED = 64;

export const text = (most: number) =>
  v.pipe(
    v.string(),
    v.maxLength(most),
    v.check(value => !value.includes('\0'), 'must not contain a zero byte'),
    // Half of a pair of UTF-16 units is nothing that a file could keep.
    v.check(value => value.isWellFormed(), 'must be whole characters'),
  );
export const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(least), v.maxValue(most));
export const hostPath = v.pipe(text(LONGEST_PATH), v.nonEmpty());
export const identity = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hexadecimal digits'));

export const machineName = v.pipe(
  text(LONGEST_MACHINE_NAME),
  v.check(value => value.trim() !== '', 'must not be empty'),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  v.check(value => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value), 'must not contain control characters'),
);

/** A layer's path, relative to the machine's folder. */
export const layerPath = v.pipe(
  hostPath,
  v.check(staysInside, 'must be a relative path that stays in the machine’s folder'),
);
export const layerFormat = v.picklist(['raw', 'qcow2']);
export const diskMode = v.picklist(['persistent', 'temporary', 'readonly']);
export const diskSize = whole(512, 2 ** 50);
const diskIdentity = v.pipe(v.string(), v.regex(/^[a-z0-9]{1,32}$/, 'must be the identity of a disk'));
export const disk = v.strictObject({
  file: layerPath,
  format: layerFormat,
  mode: diskMode,
  id: v.exactOptional(diskIdentity),
});
export const disks = v.pipe(v.array(disk), v.maxLength(MOST_DISKS));

const append = v.exactOptional(text(LONGEST_APPEND));
const optionalPath = v.exactOptional(hostPath);
export const boot = v.variant('kind', [
  v.strictObject({ kind: v.literal('guest'), append }),
  v.strictObject({
    kind: v.literal('files'),
    kernel: optionalPath,
    initrd: optionalPath,
    append,
    firmware: optionalPath,
    elf: optionalPath,
  }),
]);

const kept = whole(0, MOST_KEPT);
export const automatic = v.strictObject({
  everyMinutes: whole(0, MOST_MINUTES),
  beforeStop: v.boolean(),
  beforeRestore: v.boolean(),
  retention: v.strictObject({ last: kept, hourly: kept, daily: kept }),
});

export const memory = v.pipe(
  whole(MEMORY_LIMITS.smallest, MEMORY_LIMITS.largest),
  v.check(bytes => bytes % MEMORY_LIMITS.step === 0, 'must be a whole number of MiB'),
);

const newDisk = v.strictObject({ kind: v.literal('new'), size: diskSize, format: layerFormat });
const existingDisk = v.strictObject({
  kind: v.literal('existing'),
  path: hostPath,
  format: layerFormat,
  mode: diskMode,
});
export const addedDisk = v.variant('kind', [
  newDisk,
  existingDisk,
  v.strictObject({ kind: v.literal('detached'), file: layerPath }),
]);

export const newMachine = v.strictObject({
  name: machineName,
  memory,
  boot,
  disks: v.pipe(v.array(v.variant('kind', [newDisk, existingDisk])), v.maxLength(MOST_DISKS)),
  automatic,
});

export const machineChange = v.strictObject({
  name: v.exactOptional(machineName),
  memory: v.exactOptional(memory),
  boot: v.exactOptional(boot),
  disks: v.exactOptional(disks),
  automatic: v.exactOptional(automatic),
});

/** What the process that owns the machine keeps in `machine.json` beside the record. */
export const processState = v.strictObject({
  /** The machine goes on from this checkpoint at the next start. */
  suspended: v.exactOptional(identity),
  /** A restore that has happened, whether the tree knows it already or not. */
  restored: v.exactOptional(v.strictObject({ checkpoint: identity, from: v.exactOptional(identity) })),
  /** By index of the disk: the layer that a temporary disk runs on, which goes at power-off (B6). */
  temporary: v.exactOptional(v.record(v.pipe(v.string(), v.regex(/^\d$/)), layerPath)),
  /** Disks that the machine had, which can be added again. */
  detached: v.exactOptional(v.pipe(v.array(disk), v.maxLength(MOST_DETACHED))),
  /** Raw media that checkpoints were stored on (C15). */
  media: v.exactOptional(v.pipe(v.array(hostPath), v.maxLength(64))),
  /** Layers to be deleted once nobody needs them. */
  garbage: v.exactOptional(v.pipe(v.array(layerPath), v.maxLength(MOST_GARBAGE))),
});
export type ProcessState = v.InferOutput<typeof processState>;

export const storedMachine = v.object({
  id: identity,
  createdAt: whole(0, 8.64e15),
  name: machineName,
  memory,
  boot,
  disks,
  automatic: v.optional(automatic, USUAL_AUTOMATIC),
  process: v.optional(processState, {}),
});

/** `machine.json` as it is stored. */
export interface StoredMachine extends MachineRecord {
  readonly process: ProcessState;
}

/** The value as the schema has it. Errors: the kind given, with `field` and what else is known in the context. */
export function checked<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  kind: ErrorKind,
  what: string,
  context: Readonly<Record<string, string>> = {},
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = v.getDotPath(issue) ?? undefined;
  const where = field === undefined ? what : `${what}: ‘${field}’`;
  throw new AfterimageError(kind, `${where} is not valid: ${issue.message.slice(0, 200)}`, { ...context, field });
}

function staysInside(relative: string): boolean {
  if (/^[/\\]|\\|^[a-z]:/i.test(relative)) return false;
  return relative.split('/').every(part => part !== '' && part !== '.' && part !== '..');
}
