import type { HostFile } from '../disk.ts';

/**
 * A machine's folder as disk code sees it: names are relative, with `/` between their parts (`paths.ts`), and nothing
 * outside the folder can be reached. `engine/host` implements it over the host's files; tests implement it in memory,
 * record it and cut it off. Changes of names are durable only after `flush`.
 * Failures are AfterimageError of kind `missing`, `denied`, `locked`, `no-space`, `unsupported` or `io`.
 */
export interface Folder {
  /** Opens a regular file that exists. Refuses links that lead out of the folder, devices and folders. */
  open(path: string, access: 'read' | 'write'): Promise<HostFile>;
  /**
   * Opens a regular file for reading without a lock, also while someone writes to it: what is read may be of two moments.
   * For headers, which change in one write.
   */
  glance(path: string): Promise<HostFile>;
  /** Creates a file for writing; fails with kind `state` when the name is taken. */
  create(path: string): Promise<HostFile>;
  /** Gives a file another name, in one step; what had that name is gone then. */
  rename(from: string, to: string): Promise<void>;
  /** Succeeds also when there is no such file. Fails with kind `locked` when another process uses it. */
  remove(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Paths of the regular files that are directly in a folder below this one, or, with '', in this one. */
  list(under: string): Promise<string[]>;
  /** Makes created, renamed and removed names durable (fsync of the folders). */
  flush(): Promise<void>;
  /** Equal for two names exactly when they are one file. */
  identity(path: string): Promise<string>;
  /** Bytes that the file takes on the host. */
  allocatedBytes(path: string): Promise<number>;
  /**
   * Makes `to` a copy of `from` that shares its storage until either is written to (reflink, C14). Returns false,
   * and leaves nothing behind, where the host's file system cannot do that.
   */
  clone(from: string, to: string): Promise<boolean>;
}

/** Name of a file that is not finished. What is left of it after a crash is rubbish. */
export function partialName(path: string): string {
  return `${path}.partial`;
}

/** Makes a new file of its own name only when it is complete and durable; a failure leaves nothing behind. */
export async function createWhole(
  folder: Folder,
  path: string,
  fill: (file: HostFile) => Promise<unknown>,
): Promise<void> {
  const partial = partialName(path);
  await folder.remove(partial);
  try {
    const file = await folder.create(partial);
    try {
      await fill(file);
      await file.flush();
    } finally {
      await file.close();
    }
    await folder.rename(partial, path);
  } catch (thrown) {
    await folder.remove(partial).catch(() => undefined);
    throw thrown;
  }
  await folder.flush();
}
