// What to say of an error beside its own sentence: what a person can do about it.
import type { ErrorKind, PlainError } from '../../engine/base/errors.ts';

const ADVICE: Readonly<Record<ErrorKind, string | undefined>> = {
  usage: undefined,
  missing: 'Check that it has not been moved or deleted.',
  denied: 'Check the permissions of the file or folder.',
  locked: 'Close the program that uses it, then try again.',
  corrupt: 'The file is damaged. Use a copy or an earlier checkpoint.',
  unsupported: undefined,
  'too-large': undefined,
  'no-space': 'Free some space on the disk, then try again.',
  io: 'Try again; if it stays, check the host’s disks and memory.',
  state: undefined,
  guest: undefined,
  internal: 'This is a mistake in Afterimage. Your machines are not harmed; try again, and report it if it stays.',
};

/** Facts that help a person, by their name in the error's context. */
const FACTS: Readonly<Record<string, string>> = {
  path: 'File',
  file: 'File',
  folder: 'Folder',
  during: 'During',
};

export interface Explanation {
  /** The error's own sentence. */
  readonly text: string;
  readonly advice: string | undefined;
}

export function explain(error: PlainError): Explanation {
  const facts = Object.entries(FACTS)
    .filter(([name]) => error.context[name] !== undefined && error.context[name] !== '')
    .map(([name, label]) => `${label}: ${error.context[name]}.`);
  const advice = [...facts, ADVICE[error.kind]].filter(part => part !== undefined).join(' ');
  return { text: error.message, advice: advice === '' ? undefined : advice };
}

/** One after the other, each with its full stop; what is absent is left out. */
export function sentences(...parts: readonly (string | undefined)[]): string {
  return parts
    .filter(part => part !== undefined && part !== '')
    .map(part => (/[.!?…]$/.test(part!) ? part : `${part}.`))
    .join(' ');
}
