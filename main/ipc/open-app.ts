// The app over a library on disk: what both hosts begin with.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { GuestFiles } from '../../engine/api/control.ts';
import type { DiskCommand, DiskResult } from '../../engine/api/disk.ts';
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
  readonly runDisk: (command: DiskCommand) => Promise<DiskResult>;
  /** Has the default guest, with `guest.json`; without it the guest is built into the cache. */
  readonly guestFolder?: string;
  /** Steps of building the default guest, which happens once. */
  readonly progress: (step: string) => void;
  readonly log: (text: string) => void;
}

const GUEST_TEXT = "It is made from Debian's packages, which takes a moment and happens once.";

export async function openApp(parts: OpenAppParts): Promise<App> {
  const { platform, library, startEngine, runDisk, guestFolder, progress, log } = parts;
  const facts = await KnownFacts.open(new JsonFile(path.join(platform.dataFolder, 'machines.json')));
  let app: App | undefined;
  let told = false;
  const building = (step: string) => {
    progress(step);
    if (!told) app?.notice({ level: 'info', title: 'Preparing the default guest', text: GUEST_TEXT });
    told = true;
  };
  const machines = await LibraryMachines.open({
    library: new MachineLibrary({ folder: library, ...(startEngine === undefined ? {} : { startEngine }) }),
    facts,
    guest: oneAtATime(() => (guestFolder === undefined ? builtGuest(building) : guestIn(guestFolder))),
    runDisk,
    warn: log,
  });
  app = await App.open({ platform, machines, version: version(), now: Date.now, log });
  return app;
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

async function builtGuest(progress: (step: string) => void): Promise<GuestFiles> {
  const { kernel, initrd, append } = await ensureGuest({ onProgress: ({ step }) => progress(step) });
  return { kernel, initrd, append };
}

/** As main/package puts it there. */
async function guestIn(folder: string): Promise<GuestFiles> {
  const { append } = JSON.parse(await readFile(path.join(folder, 'guest.json'), 'utf8')) as { readonly append: string };
  return { kernel: path.join(folder, 'kernel'), initrd: path.join(folder, 'initrd'), append };
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
