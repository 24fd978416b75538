import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { CONTENT_TYPES } from './page-policy.ts';

export interface PageFile {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/**
 * The built renderer, read once. What is asked for is looked up in a list of names, so no path can lead anywhere else.
 */
export class PageFiles {
  readonly #files: ReadonlyMap<string, PageFile>;

  private constructor(files: ReadonlyMap<string, PageFile>) {
    this.#files = files;
  }

  /** Errors: `missing` when the renderer has not been built. */
  static async read(folder: string): Promise<PageFiles> {
    let names: string[];
    try {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      names = entries.filter(entry => entry.isFile()).map(entry => path.join(entry.parentPath, entry.name));
    } catch (cause) {
      throw new AfterimageError(
        'missing',
        'The pages have not been built; run `npm run build`',
        { path: folder },
        { cause },
      );
    }
    const files = await Promise.all(
      names.flatMap(name => {
        const type = CONTENT_TYPES[path.extname(name)];
        const key = `/${path.relative(folder, name).split(path.sep).join('/')}`;
        return type === undefined ? [] : [readFile(name).then(bytes => [key, { type, bytes }] as const)];
      }),
    );
    const found = new Map<string, PageFile>(files);
    if (!found.has('/index.html')) {
      throw new AfterimageError('missing', 'The pages have not been built; run `npm run build`', { path: folder });
    }
    return new PageFiles(found);
  }

  /** By the path of an address; `/` is the page itself. */
  get(pathname: string): PageFile | undefined {
    return this.#files.get(pathname === '/' ? '/index.html' : pathname);
  }
}
