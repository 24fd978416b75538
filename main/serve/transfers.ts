// Files between a browser and its host: uploads to a temporary file, downloads of exported checkpoints.
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';
import type { ChosenFile } from '../../preload/contract/files.ts';
import type { App } from '../ipc/app.ts';

const LONGEST_NAME = 255;

export interface UploadLimits {
  /** Bytes of one file. */
  readonly largest: number;
  readonly atOnce: number;
}

export class Transfers {
  readonly #app: App;
  readonly #folder: string;
  readonly #limits: UploadLimits;
  #uploads = 0;

  constructor(app: App, folder: string, limits: UploadLimits) {
    this.#app = app;
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Errors: `too-large`, `state` for too many at once, `no-space`, `usage` for a name that is none. */
  async receive(request: IncomingMessage, name: string): Promise<ChosenFile> {
    const { largest, atOnce } = this.#limits;
    if (name === '' || name.length > LONGEST_NAME || path.basename(name) !== name || name.includes('\\')) {
      throw new AfterimageError('usage', 'This is no name of a file');
    }
    if (this.#uploads >= atOnce) throw new AfterimageError('state', 'Too many files are being sent already');
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > largest) throw tooLarge(largest);
    this.#uploads += 1;
    // The name that was given is only shown: it never becomes part of a path.
    const file = path.join(this.#folder, randomBytes(16).toString('hex'));
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await pipeline(request, limit(largest), createWriteStream(file, { flags: 'wx', mode: 0o600 }));
      return await this.#app.files.add(file, { owned: true, name });
    } catch (thrown) {
      await rm(file, { force: true });
      throw hostError(thrown, name, 'receive');
    } finally {
      this.#uploads -= 1;
    }
  }

  /** Sends a checkpoint as one self-contained file. */
  async send(machine: string, id: string, response: ServerResponse): Promise<void> {
    await this.#app.drags.use(machine, id, async ({ file, name, bytes }) => {
      if (response.destroyed) return;
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'content-length': bytes,
        'content-disposition': `attachment; filename="checkpoint"; filename*=UTF-8''${extendedValue(name)}`,
        'cache-control': 'no-store',
      });
      try {
        await pipeline(createReadStream(file), response);
      } catch (thrown) {
        // The page has gone, or its user thought better of it.
        if (codeOf(thrown) !== 'ERR_STREAM_PREMATURE_CLOSE') throw hostError(thrown, file, 'send');
      }
    });
  }
}

/** As a header has it (RFC 8187); a name may hold half a character. */
function extendedValue(name: string): string {
  const escaped = (letter: string) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(name.toWellFormed()).replaceAll(/['()*]/g, escaped);
}

/** What a sender announces is one thing, what it sends another. */
function limit(largest: number): Transform {
  let received = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      received += chunk.length;
      if (received > largest) done(tooLarge(largest));
      else done(null, chunk);
    },
  });
}

function tooLarge(largest: number): AfterimageError {
  return new AfterimageError('too-large', 'The file is larger than the host takes', { largest });
}
