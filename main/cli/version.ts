// `afterimage --version`.
import { readFileSync } from 'node:fs';
import type { EngineDescription } from '../../engine/api/messages.ts';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { EngineClient } from './engine-client.ts';

interface Package {
  readonly name: string;
  readonly version: string;
}

const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Package;

export function versionLine(): string {
  return `${name} ${version}`;
}

/** The version and what machines are like, for scripts: compliance suites are configured from `isa`. */
export async function versionJson(engineEntry: URL): Promise<string> {
  const { isa, privileges, mmu } = await askEngine(engineEntry);
  const { smallest, largest, usual } = MEMORY_LIMITS;
  const memory = { smallest, largest, usual };
  return JSON.stringify({ name, version, isa, xlen: 64, privileges, mmu, memory, node: process.version }, null, 2);
}

function askEngine(entry: URL): Promise<EngineDescription> {
  return new Promise((resolve, reject) => {
    const client = new EngineClient({
      entry,
      onEvent: event => {
        if (event.kind !== 'description') return;
        resolve(event.description);
        client.send({ kind: 'stop' });
      },
      onExit: ({ lastWords }) => {
        reject(new AfterimageError('internal', 'The engine ended without an answer', { lastWords }));
      },
    });
    client.send({ kind: 'describe' });
  });
}
