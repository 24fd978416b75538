// Libraries for tests: in a folder of the test's own, with processes that end with the test.
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type MachineRecord, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { type ForkEngine, startWithNode } from '../../main/engines/fork-engine.ts';
import { MachineLibrary } from '../../main/machines/library.ts';
import { SMALL_OWNER } from '../host/machine-owner.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

export interface TestLibrary {
  readonly library: MachineLibrary;
  readonly folder: string;
  /** All processes that were started, the ended ones too. */
  readonly engines: readonly ForkEngine[];
}

/** Its machines are small ones. */
export function testLibrary(folder = path.join(temporaryFolder(), 'library')): TestLibrary {
  const { startEngine, engines } = killedInTheEnd();
  return { library: new MachineLibrary({ folder, startEngine }), folder, engines };
}

/** Starts processes of small machines; what is left of them is killed when the test has finished. */
export function killedInTheEnd(): { startEngine: (folder: string | undefined) => ForkEngine; engines: ForkEngine[] } {
  const engines: ForkEngine[] = [];
  const running = new Set<ForkEngine>();
  onTestFinished(() => {
    for (const engine of running) engine.kill();
  });
  const startEngine = (folder: string | undefined) => {
    const engine = startWithNode(folder, SMALL_OWNER);
    engines.push(engine);
    running.add(engine);
    engine.onExit(() => running.delete(engine));
    return engine;
  };
  return { startEngine, engines };
}

/** A machine as if its process had made it, without the time that takes. */
export function putMachine(library: string, slug: string, more: Partial<MachineRecord> = {}): string {
  const folder = path.join(library, slug);
  for (const name of ['disks', 'checkpoints']) mkdirSync(path.join(folder, name), { recursive: true });
  writeFileSync(path.join(folder, 'machine.json'), JSON.stringify(recordOf({ name: slug, ...more })));
  return folder;
}

export function recordOf(more: Partial<MachineRecord>): MachineRecord {
  return {
    id: randomBytes(16).toString('hex'),
    createdAt: 1_700_000_000_000,
    name: 'Machine',
    memory: 2 ** 28,
    boot: { kind: 'guest' },
    disks: [],
    automatic: USUAL_AUTOMATIC,
    ...more,
  };
}

/** A file that small machines take as their kernel; what they do is their kernel command line. */
export function smallKernel(): string {
  const file = path.join(temporaryFolder(), 'kernel');
  writeFileSync(file, kernelHeader());
  return file;
}

/** What a kernel is known by; nothing of it is run by small machines. */
export function kernelHeader(): Uint8Array {
  const header = Buffer.alloc(64);
  header.write('RSC\x05', 0x38, 'latin1');
  return header;
}
