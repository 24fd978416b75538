import path from 'node:path';
import type { HostFile } from '../disk/disk.ts';
import { openReadonly } from './checkpoint-folder.ts';
import { HostFolder } from './disk-folder.ts';

/**
 * A machine's folder for the process that owns it: files are read without locks, which the machine's own engine may
 * hold. For layers that nobody writes to.
 */
export class OwnedFolder extends HostFolder {
  readonly #root: string;

  constructor(root: string) {
    super(root);
    this.#root = root;
  }

  override async open(name: string, mode: 'read' | 'write'): Promise<HostFile> {
    if (mode === 'write') return await super.open(name, mode);
    // Refuses what leads out of the folder.
    await this.identity(name);
    return await openReadonly(path.join(this.#root, ...name.split('/')));
  }
}
