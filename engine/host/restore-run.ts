import type { EngineEvent } from '../api/messages.ts';
import { AfterimageError } from '../base/errors.ts';
import { RESTORED_EPOCH } from '../memory/absent-pages.ts';
import { type MemoryLayout, MemoryTables } from '../memory/tables.ts';
import type { Bases } from './bases.ts';
import { Pager } from './pager.ts';
import { type Resume, type ResumeState, readResume } from './resume.ts';

export interface RestoreParts {
  readonly resume: Resume;
  readonly memory: WebAssembly.Memory;
  /** Undefined for machines without tables, which cannot be restored. */
  readonly layout: MemoryLayout | undefined;
  /** Of RAM, in bytes. */
  readonly ram: number;
  readonly send: (event: EngineEvent) => void;
}

/** The part of a run that began with a checkpoint: its pages, until all are there, and its files, until then. */
export class RestoreRun {
  readonly state: ResumeState;
  readonly pager: Pager;
  readonly #resume: Resume;
  readonly #send: (event: EngineEvent) => void;
  #pinned = false;
  #unreadable: AfterimageError | undefined;

  /** Sets up machine memory, all pages absent, and begins to bring them. @throws AfterimageError `corrupt`, `unsupported` */
  static async begin(parts: RestoreParts): Promise<RestoreRun> {
    const { state, requests, workingSet } = await readResume(parts.resume.reader);
    const run = new RestoreRun(parts, { state, requests }, workingSet);
    try {
      const { bring = 'all' } = parts.resume;
      if (bring === 'first') await run.pager.finish();
      else if (bring === 'all') run.pager.start();
    } catch (thrown) {
      await run.close();
      throw thrown;
    }
    return run;
  }

  private constructor(parts: RestoreParts, state: ResumeState, workingSet: readonly number[]) {
    const { resume, memory, layout, ram, send } = parts;
    if (layout === undefined) throw new AfterimageError('unsupported', 'This machine cannot be restored');
    this.state = state;
    this.#resume = resume;
    this.#send = send;
    new DataView(memory.buffer).setUint32(layout.RAM_PAGES, ram / 4096, true);
    this.pager = new Pager({
      tables: new MemoryTables(new Uint8Array(memory.buffer), layout),
      reader: resume.reader,
      workingSet,
      events: {
        progress: count => this.#progress(count),
        unreadable: error => this.#stop(error),
        readable: () => this.#goOn(),
      },
    });
    // Deleting the checkpoint must not take its files from under the machine.
    resume.from?.tree.pin(resume.reader.id);
    this.#pinned = resume.from !== undefined;
  }

  /** @throws AfterimageError when the hart waits for a page that cannot be read */
  check(): void {
    if (this.#unreadable === undefined) return;
    const { kind, context } = this.#unreadable;
    throw new AfterimageError(kind, 'The machine waits for a page that cannot be read', context);
  }

  /** The next checkpoint saves what changed since the restored one. */
  register(bases: Bases): void {
    const { from, reader } = this.#resume;
    if (from !== undefined) bases.add(from.tree, { id: reader.id, epoch: RESTORED_EPOCH, durable: from.durable });
  }

  /** Returns when no file is in use. The hart runs no more. */
  async close(): Promise<void> {
    await this.pager.close();
    this.#unpin();
  }

  #progress(count: number): void {
    if (count === 0) this.#unpin();
    this.#send({ kind: 'absent-pages', count });
  }

  #stop(error: AfterimageError): void {
    this.#unreadable = error;
    this.#send({ kind: 'page-unreadable', error: error.toPlain() });
  }

  #goOn(): void {
    this.#unreadable = undefined;
    this.#send({ kind: 'page-readable' });
  }

  #unpin(): void {
    const { from, reader } = this.#resume;
    if (this.#pinned) from?.tree.unpin(reader.id);
    this.#pinned = false;
  }
}
