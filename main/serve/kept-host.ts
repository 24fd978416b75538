// What a browser host keeps for its next run, in a file that only the user can read: the key that signs passes, and the
// port, for pages are known by their address.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import * as v from 'valibot';
import { JsonFile } from '../ipc/json-file.ts';

export const KEY_BYTES = 32;
export const USUAL_PORT = 7428;

const keptHost = v.object({
  key: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
});
type Kept = v.InferOutput<typeof keptHost>;

export class KeptHost {
  readonly #file: JsonFile;
  #kept: Kept;

  private constructor(file: JsonFile, kept: Kept) {
    this.#file = file;
    this.#kept = kept;
  }

  /** `renew`: with another key, so that passes of earlier runs are worth nothing. Errors: those of writing a file. */
  static async open(dataFolder: string, renew: boolean): Promise<KeptHost> {
    const file = new JsonFile(path.join(dataFolder, 'browser-host.json'));
    const found = v.safeParse(keptHost, await file.read());
    if (found.success && !renew) return new KeptHost(file, found.output);
    const port = found.success ? found.output.port : undefined;
    const fresh = { key: randomBytes(KEY_BYTES).toString('hex'), ...(port === undefined ? {} : { port }) };
    await file.write(fresh);
    return new KeptHost(file, fresh);
  }

  get key(): Uint8Array {
    return Buffer.from(this.#kept.key, 'hex');
  }

  /** To be tried in this order; the last takes any that is free. */
  get ports(): readonly number[] {
    return [...new Set([this.#kept.port ?? USUAL_PORT, USUAL_PORT, 0])];
  }

  async usePort(port: number): Promise<void> {
    if (this.#kept.port === port) return;
    this.#kept = { ...this.#kept, port };
    await this.#file.write(this.#kept);
  }
}
