// Errors of node:fs and node:net as ours; no effects, so that every room may use it.
// Their codes are Unix names on every platform.
import { AfterimageError, type ErrorKind } from './errors.ts';

interface Meaning {
  readonly kind: ErrorKind;
  readonly message: string;
}

/** What the host's error codes mean to us; all others are `io`. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: { kind: 'missing', message: 'The file does not exist' },
  ENOTDIR: { kind: 'missing', message: 'A part of the path is not a folder' },
  ENAMETOOLONG: { kind: 'missing', message: 'The path is too long' },
  ELOOP: { kind: 'missing', message: 'The path is a circle of links' },
  EACCES: { kind: 'denied', message: 'Access to the file is denied' },
  EPERM: { kind: 'denied', message: 'Access to the file is denied' },
  EROFS: { kind: 'denied', message: 'The file is on a read-only file system' },
  EISDIR: { kind: 'unsupported', message: 'It is a folder, not a file' },
  ETXTBSY: { kind: 'locked', message: 'The file is a program that is running' },
  ENOSPC: { kind: 'no-space', message: 'No space is left on the host' },
  EDQUOT: { kind: 'no-space', message: 'The disk quota on the host is used up' },
  EFBIG: { kind: 'too-large', message: 'The file is larger than the host allows' },
};

/** An error of node:fs as ours; `during` names the step that failed. */
export function hostError(thrown: unknown, path: string, during: string): AfterimageError {
  if (thrown instanceof AfterimageError) return thrown;
  const code = codeOf(thrown);
  const meaning = MEANINGS[code] ?? { kind: 'io' as const, message: `The host failed to ${during} the file (${code})` };
  return new AfterimageError(meaning.kind, meaning.message, { path, during, code }, { cause: thrown });
}

/** The host's error code, such as ENOENT. */
export function codeOf(thrown: unknown): string {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return 'unknown';
}
