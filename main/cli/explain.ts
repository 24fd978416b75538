import type { ErrorKind, PlainError } from '../../engine/base/errors.ts';

/** What to do about an error of the host, where its own message does not say. */
const ADVICE: Partial<Record<ErrorKind, string>> = {
  missing: 'check the path',
  denied: 'check its permissions',
  'no-space': 'make room and try again',
};

/** One line for a person: the file, the reason, what to do. */
export function explain(error: PlainError): string {
  const { path } = error.context;
  const file = path === undefined ? '' : `${path}: `;
  const advice = error.message.includes(';') ? undefined : adviceFor(error);
  return printable(file + lowerFirst(error.message) + (advice === undefined ? '' : `; ${advice}`));
}

function adviceFor({ kind, context }: PlainError): string | undefined {
  if (kind === 'internal') return 'this is a mistake in Afterimage';
  if (context.path === undefined) return undefined;
  if (kind === 'locked') {
    return `end that run first, or use the disk read-only in both; if nothing uses it, delete ${context.lock}`;
  }
  return ADVICE[kind];
}

function lowerFirst(text: string): string {
  // Names that are written in capitals keep them.
  return /^[A-Z][a-z ]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

/** Names of files may hold line breaks and escape sequences; an error is one harmless line. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
