// The pieces that arguments are made of, as checks and types in one. Lengths are those of engine/api.
import * as v from 'valibot';
import { KIB, MEMORY_LIMITS } from '../../engine/api/settings.ts';

/** Longest names and notes, in characters. */
export const LONGEST = {
  machineName: 100,
  checkpointName: 200,
  note: 16 * KIB,
  path: 4096,
  url: 2048,
  command: 64 * KIB,
};

const IDENTITY = /^[0-9a-f]{32}$/;
const TOKEN = /^file-[0-9a-f]{32}$/;

export const nothing = v.strictObject({});
export const identity = v.pipe(v.string(), v.regex(IDENTITY, 'Not an identity'));
/** A file that the user has chosen or dropped. Its path stays with the host. */
export const fileToken = v.pipe(v.string(), v.regex(TOKEN, 'Not a file'));
/** Without the control characters that no name needs and that could forge lines elsewhere. */
const oneLine = v.check<string, string>(text => !hasControlCharacter(text), 'Has control characters');
export const machineName = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(LONGEST.machineName), oneLine);
export const checkpointName = v.pipe(
  v.string(),
  v.trim(),
  v.minLength(1),
  v.maxLength(LONGEST.checkpointName),
  oneLine,
);
export const note = v.pipe(v.string(), v.maxLength(LONGEST.note));
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const memorySize = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(MEMORY_LIMITS.smallest),
  v.maxValue(MEMORY_LIMITS.largest),
  v.multipleOf(MEMORY_LIMITS.step),
);
/** A layer's file, relative to the machine's folder; the machine's process decides whether it is one of its disks. */
export const layerPath = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(LONGEST.path),
  v.check(
    text => !text.startsWith('/') && !/^[a-z]:|[\\\0]/i.test(text) && !text.split('/').includes('..'),
    'Not a layer',
  ),
);
export const pageRange = v.strictObject({ first: count, count });
export const consoleSize = v.strictObject({
  rows: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
  columns: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
});
export const screenText = v.strictObject({
  columns: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
  rows: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500)),
  // A terminal may cut a line in the middle of a character.
  lines: v.pipe(
    v.array(
      v.pipe(
        v.string(),
        v.maxLength(4096),
        v.transform(line => line.toWellFormed()),
      ),
    ),
    v.maxLength(500),
  ),
});
export const automatic = v.strictObject({
  everyMinutes: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(7 * 24 * 60)),
  beforeStop: v.boolean(),
  beforeRestore: v.boolean(),
  retention: v.strictObject({ last: retained(), hourly: retained(), daily: retained() }),
});
export const layerFormat = v.picklist(['raw', 'qcow2']);
export const diskMode = v.picklist(['persistent', 'temporary', 'readonly']);

function retained() {
  return v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000));
}

function hasControlCharacter(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029) return true;
  }
  return false;
}
