import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { AfterimageError } from '../../engine/base/errors.ts';

/** What is typed at the console: a file's bytes, those of standard input, or a person's keys. */
export interface ConsoleSource {
  readonly stream: Readable;
  /** A person types: keys have meanings, and the terminal is to be raw. */
  readonly interactive: boolean;
}

/** `name` is the value of `--input`. Errors: `missing`, `denied`, `unsupported` for a folder. */
export async function openInput(name: string | undefined, stdin: NodeJS.ReadStream): Promise<ConsoleSource> {
  if (name === undefined) return { stream: stdin, interactive: stdin.isTTY === true };
  if (name === '-') return { stream: stdin, interactive: false };
  try {
    const file = await open(name, 'r');
    if ((await file.stat()).isDirectory()) {
      await file.close();
      throw new AfterimageError('unsupported', 'It is a folder, not a file', { path: name });
    }
    return { stream: file.createReadStream(), interactive: false };
  } catch (thrown) {
    throw asInputError(thrown, name);
  }
}

function asInputError(thrown: unknown, path: string): AfterimageError {
  if (thrown instanceof AfterimageError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new AfterimageError('missing', 'The file does not exist', { path });
  if (code === 'EACCES' || code === 'EPERM') {
    return new AfterimageError('denied', 'Access to the file is denied', { path });
  }
  return new AfterimageError('io', `The file cannot be read (${String(code)})`, { path }, { cause: thrown });
}
