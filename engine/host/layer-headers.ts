// What the headers of a machine's layers say, read without locks: the process owns the folder, and headers change in one
// write. A layer that lies still is read once, however often it is asked for; a machine has hundreds.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { LayerFormat } from '../api/machine.ts';
import type { LayerFacts } from '../disk/chain/model.ts';
import { backingPath } from '../disk/chain/paths.ts';
import { readHeader } from '../disk/qcow2/header.ts';
import { openReadonly } from './checkpoint-folder.ts';
import { allocatedIn } from './disk-folder.ts';
import { hostError } from './host-errors.ts';

export interface LayerFile {
  readonly facts: LayerFacts;
  /** Format of the file below, where the header says it. */
  readonly below?: LayerFormat | undefined;
}

/** The part of it that is in the header. */
type Header = Pick<LayerFile, 'below'> & { readonly facts: Omit<LayerFacts, 'allocatedSize'> };

/** A file that was changed less than this before it was read may change again and bear the same time. */
const SETTLED_MILLISECONDS = 2000;
/** Far more than a machine has layers. */
const MOST_KNOWN = 4096;

export class LayerHeaders {
  readonly #root: string;
  readonly #known = new Map<string, { readonly version: string; readonly header: Header }>();

  constructor(root: string) {
    this.#root = root;
  }

  /** @throws AfterimageError when it cannot be read, or is no such layer */
  async read(name: string, format: LayerFormat): Promise<LayerFile> {
    const file = path.join(this.#root, name);
    const found = await stat(file, { bigint: true }).catch(thrown => {
      throw hostError(thrown, file, 'measure');
    });
    const version = [format, found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(':');
    const known = this.#known.get(name);
    const header = known?.version === version ? known.header : await headerOf(file, name, format);
    if (known?.version !== version) {
      this.#known.delete(name);
      if (this.#known.size >= MOST_KNOWN) this.#known.clear();
      const settled = Date.now() - Number(found.ctimeMs) > SETTLED_MILLISECONDS;
      if (settled) this.#known.set(name, { version, header });
    }
    return { ...header, facts: { ...header.facts, allocatedSize: allocatedIn(found) } };
  }
}

async function headerOf(at: string, name: string, format: LayerFormat): Promise<Header> {
  const file = await openReadonly(at);
  try {
    if (format === 'raw') return { facts: { path: name, format, virtualSize: await file.size() } };
    const { size: virtualSize, backing } = await readHeader(file);
    const facts = { path: name, format, virtualSize };
    if (backing === undefined) return { facts };
    const below = backing.format === 'raw' || backing.format === 'qcow2' ? backing.format : undefined;
    return { facts: { ...facts, backing: backingPath(name, backing.name) }, below };
  } finally {
    await file.close();
  }
}
