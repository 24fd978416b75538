// Self-contained files of checkpoints, made to be handed out: by the system's drag and drop, or as a download.

import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { CHECKPOINT_EXTENSION } from '../../preload/contract/files.ts';
import type { Machines } from './machines.ts';

export interface HandedOut {
  readonly file: string;
  readonly name: string;
  readonly bytes: number;
}

/** Room on the host for what is rarely dragged twice. */
const MOST_KEPT = 4;
const LONGEST_NAME = 80;

export class Drags {
  readonly #machines: Machines;
  readonly #folder: string;
  /** Newest last. */
  readonly #kept = new Map<string, { readonly making: Promise<HandedOut>; done?: HandedOut; users: number }>();

  constructor(machines: Machines, folder: string) {
    this.#machines = machines;
    this.#folder = folder;
  }

  /** The file, made if it is not there. A checkpoint never changes, so it stays right. */
  prepare(machine: string, id: string): Promise<HandedOut> {
    const key = `${machine}-${id}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known.making;
    const making = this.#make(machine, id);
    const entry: { readonly making: Promise<HandedOut>; done?: HandedOut; users: number } = { making, users: 0 };
    this.#kept.set(key, entry);
    making.then(
      done => {
        entry.done = done;
        this.#trim();
      },
      () => this.#kept.delete(key),
    );
    return making;
  }

  /** If it is there already: a drag cannot wait. */
  ready(machine: string, id: string): HandedOut | undefined {
    return this.#kept.get(`${machine}-${id}`)?.done;
  }

  /** Keeps a file from being removed while it is read. */
  async use<Result>(machine: string, id: string, work: (file: HandedOut) => Promise<Result>): Promise<Result> {
    const made = await this.prepare(machine, id);
    const entry = this.#kept.get(`${machine}-${id}`);
    if (entry !== undefined) entry.users += 1;
    try {
      return await work(made);
    } finally {
      if (entry !== undefined) entry.users -= 1;
      this.#trim();
    }
  }

  /** Directly to where the user wants it; what was there is replaced at the end. */
  async exportTo(machine: string, id: string, file: string): Promise<number> {
    const fresh = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
    try {
      const { bytes } = await this.#machines.call(machine, 'export', { id, file: fresh });
      await rename(fresh, file);
      return bytes;
    } catch (thrown) {
      await rm(fresh, { force: true });
      throw thrown;
    }
  }

  async suggestedName(machine: string, id: string): Promise<string> {
    const { name } = await this.#machines.call(machine, 'details', { id });
    const machineName = this.#machines.view().machines.find(one => one.id === machine)?.name ?? '';
    return checkpointFileName(machineName, name);
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #make(machine: string, id: string): Promise<HandedOut> {
    const name = await this.suggestedName(machine, id);
    // A folder of its own, so that it can have its name.
    const folder = path.join(this.#folder, randomBytes(8).toString('hex'));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = path.join(folder, name);
    try {
      await this.#machines.call(machine, 'export', { id, file });
      return { file, name, bytes: (await stat(file)).size };
    } catch (thrown) {
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  #trim(): void {
    for (const [key, { done, users }] of this.#kept) {
      if (this.#kept.size <= MOST_KEPT) return;
      if (done === undefined || users > 0) continue;
      this.#kept.delete(key);
      void rm(path.dirname(done.file), { recursive: true, force: true });
    }
  }
}

/** Of names that may hold anything, one that every file system takes. */
export function checkpointFileName(machine: string, checkpoint: string): string {
  const plain = `${machine} - ${checkpoint}`
    .normalize('NFC')
    .replaceAll(/[^\p{L}\p{N} ._()+-]+/gu, '_')
    .replaceAll(/^[. ]+/g, '')
    .slice(0, LONGEST_NAME)
    .trim();
  return `${plain === '' ? 'checkpoint' : plain}.${CHECKPOINT_EXTENSION}`;
}
