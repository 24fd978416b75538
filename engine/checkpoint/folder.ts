import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';

/**
 * A folder of the host that holds only our files: the only door from checkpoint code to names. Names have no
 * separators. An open file stays readable when its name is removed or given to another file. Failures are
 * AfterimageErrors of kind `missing`, `denied`, `no-space` or `io` with the name in the context.
 */
export interface Folder {
  readonly name: string;
  /** Names of regular files with their sizes in bytes. */
  list(): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  /** A new, empty, writable file; one of this name is emptied. */
  create(name: string): Promise<HostFile>;
  open(name: string): Promise<HostFile>;
  /** In one step, also when `to` exists. Durable after `flush`. */
  rename(from: string, to: string): Promise<void>;
  /** Durable after `flush`. */
  remove(name: string): Promise<void>;
  /** Returns when every change of names before the call is durable (fsync of the folder). */
  flush(): Promise<void>;
}

/**
 * Replaces a small file in one step: write-new, flush, rename, flush the folder. A failure with `renamed` in its context
 * came after the rename: the new content is there, but a power cut may bring the old one back.
 */
export async function replaceFile(folder: Folder, name: string, content: Uint8Array): Promise<void> {
  const partial = `${name}.partial`;
  const file = await folder.create(partial);
  try {
    await file.write(0, [content]);
    await file.flush();
  } finally {
    await file.close();
  }
  await folder.rename(partial, name);
  try {
    await folder.flush();
  } catch (thrown) {
    const { kind, message, context } = AfterimageError.from(thrown);
    throw new AfterimageError(kind, message, { ...context, renamed: true }, { cause: thrown });
  }
}
