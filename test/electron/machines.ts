// Machines of the app in the stand-in, asked for as the page's own scripts do.
import { expect } from 'vitest';
import type { RunningApp } from './running-app.ts';

/** A guest boots in seconds; only a hang meets this, on a machine as busy as can be. */
const PATIENCE_MILLISECONDS = 120_000;
export const MEMORY = 256 * 1024 * 1024;

export async function create(running: RunningApp, name: string): Promise<string> {
  const wanted = { name, memory: MEMORY, boot: { kind: 'guest' }, disks: [] };
  const answer = await running.call('create-machine', wanted);
  expect(answer).toMatchObject({ ok: true });
  return (answer.result as unknown as { machine: string }).machine;
}

export const machineCall = (running: RunningApp, machine: string, name: string, arguments_: object = {}) =>
  running.call('machine-call', { machine, name, arguments: arguments_ });

/** Opens a console in the page and waits until it has shown a text; types `then` afterwards. */
export function waitForOutput(running: RunningApp, machine: string, wanted: string, typed = ''): Promise<string> {
  return running.window.page.evaluate(
    async ({ id, text, keys, patience }) => {
      const { afterimage } = globalThis as unknown as {
        afterimage: { console(machine: string): Promise<ConsoleLike> };
      };
      const port = await afterimage.console(id);
      const decoder = new TextDecoder();
      let shown = '';
      return await new Promise<string>((resolve, reject) => {
        setTimeout(() => reject(new Error(`The console showed: ${JSON.stringify(shown.slice(-2000))}`)), patience);
        port.onOutput(bytes => {
          shown += decoder.decode(bytes, { stream: true });
          port.taken(bytes.length);
          if (!shown.includes(text)) return;
          port.close();
          resolve(shown);
        });
        if (keys !== '') void port.write(new TextEncoder().encode(keys));
      });
    },
    { id: machine, text: wanted, keys: typed, patience: PATIENCE_MILLISECONDS },
  );
}

interface ConsoleLike {
  onOutput(listener: (bytes: Uint8Array) => void): void;
  taken(count: number): void;
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}
