// The app over a library on disk: what both hosts begin with.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { GuestFiles } from '../../engine/api/control.ts';
import { runDisk } from '../cli/disk-client.ts';
import type { StartEngine } from '../engines/fork-engine.ts';
import { MachineLibrary } from '../machines/library.ts';
import { libraryFolder } from '../machines/location.ts';
import { App } from './app.ts';
import { JsonFile } from './json-file.ts';
import { LibraryMachines } from './library-machines.ts';
import { KnownFacts } from './machine-facts.ts';
import type { Platform } from './platform.ts';

export interface OpenAppParts {
  readonly platform: Platform;
  /** Absolute. */
  readonly library: string;
  readonly startEngine?: StartEngine;
  /** Steps of building the default guest, which happens once. */
  readonly progress: (step: string) => void;
  readonly log: (text: string) => void;
}

export async function openApp({ platform, library, startEngine, progress, log }: OpenAppParts): Promise<App> {
  const facts = await KnownFacts.open(new JsonFile(path.join(platform.dataFolder, 'machines.json')));
  const machines = await LibraryMachines.open({
    library: new MachineLibrary({ folder: library, ...(startEngine === undefined ? {} : { startEngine }) }),
    facts,
    guest: oneAtATime(async (): Promise<GuestFiles> => {
      const { kernel, initrd, append } = await ensureGuest({ onProgress: ({ step }) => progress(step) });
      return { kernel, initrd, append };
    }),
    runDisk: command => runDisk(command, () => {}),
    warn: log,
  });
  return await App.open({ platform, machines, version: version(), now: Date.now, log });
}

/**
 * Where the app keeps what is its own: beside the library in the platform's data folder, or inside a library that was
 * chosen, where hidden folders are no machines.
 */
export function appDataFolder(library: string): string {
  const usual = libraryFolder(undefined, { ...process.env, AFTERIMAGE_LIBRARY: undefined });
  return library === usual ? path.join(path.dirname(usual), 'app') : path.join(library, '.app');
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** Those who ask while it is under way get the same answer. */
function oneAtATime<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}
