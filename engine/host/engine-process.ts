import { writeSync } from 'node:fs';
import { Engine } from './engine.ts';
import type { EngineParts } from './engine-run.ts';
import { ForkLink } from './parent-link.ts';

/** The whole of an engine process's main module: serves the parent that forked it, then exits. */
export function runEngineProcess(parts: EngineParts): void {
  const engine = new Engine(new ForkLink(process), parts);
  void engine.finished.then(() => process.exit(0));

  // A terminal sends these to the whole group; what becomes of the machine is the parent's decision.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => engine.stop());
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (thrown: unknown) => {
      if (thrown instanceof Error) writeSync(2, `${thrown.stack}\n`);
      engine.fail(thrown);
    });
  }
}
