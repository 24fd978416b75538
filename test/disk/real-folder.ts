import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { HostFolder } from '../../engine/host/disk-folder.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import type { TestFolder } from './memory-folder.ts';

/** A folder of the host, in the place of one in memory. */
export class RealFolder extends HostFolder implements TestFolder {
  readonly root: string;
  /** The host counts them. */
  readonly opened = 0;

  constructor(root = temporaryFolder()) {
    super(root);
    this.root = root;
  }

  get paths(): string[] {
    return readdirSync(this.root).filter(name => !name.endsWith('.lock'));
  }

  add(name: string, content: Uint8Array): void {
    writeFileSync(path.join(this.root, name), content);
  }

  drop(name: string): void {
    rmSync(path.join(this.root, name), { force: true });
  }

  content(name: string): Uint8Array {
    return readFileSync(path.join(this.root, name));
  }

  copy(): RealFolder {
    const copy = new RealFolder();
    for (const name of this.paths) cpSync(path.join(this.root, name), path.join(copy.root, name));
    return copy;
  }
}
