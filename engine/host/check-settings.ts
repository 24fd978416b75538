// The settings of a `start` command, checked where they are received (STYLE 12): types end at the border of a process.
// By hand, because loading a schema library costs 50 to 100 ms at every start of a machine, and this is one shape.
import {
  type BootSettings,
  type ConsoleSize,
  type DiskSettings,
  LONGEST_APPEND,
  type MachineSettings,
  MEMORY_LIMITS,
  MIB,
  MOST_DISKS,
  type SignatureSettings,
} from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Returns the value as settings; AfterimageError `usage` says what is wrong with it. Unknown fields are refused. */
export function checkSettings(value: unknown): MachineSettings {
  const fields = object(value, 'The settings', [
    'memory',
    'boot',
    'disks',
    'consoleSize',
    'maxInstructions',
    'trace',
    'signature',
  ]);
  checkMemory(fields.memory);
  checkBoot(fields.boot);
  checkDisks(fields.disks);
  if (fields.consoleSize !== undefined) checkConsoleSize(fields.consoleSize);
  if (fields.maxInstructions !== undefined && !isCount(fields.maxInstructions)) {
    throw usage('The largest number of instructions must be a whole number from 1 to 2^53 - 1');
  }
  optionalPath(fields, 'trace');
  if (fields.signature !== undefined) checkSignature(fields.signature, fields.boot as BootSettings);
  return fields as unknown as MachineSettings;
}

/** Throws `usage` unless it is a console size; used for `resize` commands too. */
export function checkConsoleSize(value: unknown): ConsoleSize {
  const { rows, columns } = object(value, 'The console size', ['rows', 'columns']);
  for (const length of [rows, columns]) {
    if (!isCount(length) || length > 0xffff) throw usage('Rows and columns of the console must be from 1 to 65535');
  }
  return value as ConsoleSize;
}

function checkMemory(memory: unknown): void {
  const { smallest, largest, step } = MEMORY_LIMITS;
  if (!isCount(memory)) throw usage('The size of the memory must be a whole number of bytes');
  if (memory < smallest) throw usage(`The memory is too small: the smallest is ${smallest / MIB} MiB`, { memory });
  if (memory > largest) throw usage(`The memory is too large: the largest is ${largest / MIB} MiB`, { memory });
  if (memory % step !== 0) throw usage(`The memory must be a multiple of ${step / MIB} MiB`, { memory });
}

function checkBoot(value: unknown): void {
  const boot = object(value, 'What to boot', ['kernel', 'initrd', 'append', 'firmware', 'elf']);
  for (const name of ['kernel', 'initrd', 'firmware', 'elf']) optionalPath(boot, name);
  const { kernel, initrd, append, firmware, elf } = boot as BootSettings;
  if (
    append !== undefined &&
    (typeof append !== 'string' || new TextEncoder().encode(append).length > LONGEST_APPEND)
  ) {
    throw usage(`The kernel command line must be at most ${LONGEST_APPEND} bytes of text`);
  }
  if (elf !== undefined) {
    if (kernel !== undefined || initrd !== undefined || append !== undefined || firmware !== undefined) {
      throw usage('A bare-metal ELF runs alone, without kernel, initrd, command line or firmware');
    }
  } else if (kernel === undefined && firmware === undefined) {
    throw usage('There is nothing to boot: no kernel, no firmware and no ELF');
  }
}

function checkDisks(value: unknown): void {
  if (!Array.isArray(value)) throw usage('The disks must be a list');
  if (value.length > MOST_DISKS) throw usage(`A machine has at most ${MOST_DISKS} disks`, { count: value.length });
  for (const disk of value) {
    const fields = object(disk, 'A disk', ['path', 'format', 'readonly', 'temporary']) as unknown as DiskSettings;
    checkPath(fields.path, 'A disk');
    if (fields.format !== undefined && fields.format !== 'raw' && fields.format !== 'qcow2') {
      throw usage('The format of a disk is raw or qcow2');
    }
    if (typeof fields.readonly !== 'boolean' || typeof fields.temporary !== 'boolean') {
      throw usage('A disk says by true or false whether it is read-only or temporary');
    }
  }
}

function checkSignature(value: unknown, boot: BootSettings): void {
  const { path, granularity } = object(value, 'The signature', ['path', 'granularity']) as unknown as SignatureSettings;
  checkPath(path, 'The signature');
  if (![4, 8, 16].includes(granularity)) throw usage('The granularity of a signature is 4, 8 or 16');
  if (boot.elf === undefined) throw usage('Only a bare-metal ELF has a signature');
}

function object(value: unknown, what: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null) throw usage(`${what} must be an object`);
  const unknown = Object.keys(value).find(name => !known.includes(name));
  if (unknown !== undefined) throw usage(`${what} has no field of this name`, { field: unknown });
  return value as Fields;
}

function optionalPath(fields: Fields, name: string): void {
  if (fields[name] !== undefined) checkPath(fields[name], name);
}

function checkPath(value: unknown, what: string): void {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw usage('A file name must be text without zero bytes', { what });
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function usage(message: string, context: Readonly<Record<string, string | number>> = {}): AfterimageError {
  return new AfterimageError('usage', message, context);
}
