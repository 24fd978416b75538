import { AfterimageError } from '../../base/errors.ts';
import { createWhole, type Folder, partialName } from '../chain/folder.ts';
import type { Layer } from '../chain/layer.ts';
import type { Job } from './job.ts';
import { Journal } from './journal.ts';
import { PIECE_BYTES, Pipeline, piecesOf } from './ranges.ts';
import { isZero } from './rebase.ts';

export interface CopyResult {
  /** `shared`: a reflink, by the host's storage itself (C14). */
  readonly method: 'shared' | 'sparse' | 'full';
  readonly bytes: number;
}

/** Zeroes of this length and more become holes. */
const HOLE = 64 * 1024;

/**
 * Copies the file of a frozen layer as it is (C12): the layer must have all its pending writes, so wait for
 * `Switch.frozen`. The copy names the same backing file. Errors: `state` unless the layer is frozen or only read.
 */
export async function copyLayer(
  layer: Layer,
  to: string,
  options: { readonly sparse: boolean },
  job: Job,
): Promise<CopyResult> {
  const { folder, path } = layer;
  if (!layer.readonly) throw new AfterimageError('state', 'Only a frozen layer can be copied', { file: path });
  if (await folder.exists(to)) throw new AfterimageError('state', 'The file exists already', { file: to });
  const record = { kind: 'copy', layer: path, to, spare: [] } as const;
  return await Journal.during(folder, record, () => copyFile(layer, to, options, job));
}

async function copyFile(
  layer: Layer,
  to: string,
  options: { readonly sparse: boolean },
  job: Job,
): Promise<CopyResult> {
  const { folder, path } = layer;
  // Also settles what a flush leaves for later: clusters freed, but still counted.
  if (layer.access === 'write') await layer.reopen({ access: 'read' });
  if (await shareStorage(folder, path, to)) {
    const bytes = await folder.allocatedBytes(to);
    job.expect(bytes);
    job.advance(bytes);
    return { method: 'shared', bytes };
  }
  let size = 0;
  await createWhole(folder, to, async file => {
    const from = await folder.open(path, 'read');
    try {
      size = await from.size();
      job.expect(size);
      await file.truncate(size);
      await Pipeline.during(job, async pipeline => {
        for (const { offset, length } of piecesOf(0, size)) {
          await pipeline.start(length, async () => {
            const bytes = new Uint8Array(length);
            await from.read(offset, [bytes]);
            if (!options.sparse) return await file.write(offset, [bytes]);
            for (let at = 0; at < Math.min(length, PIECE_BYTES); at += HOLE) {
              const part = bytes.subarray(at, at + HOLE);
              if (!isZero(part)) await file.write(offset + at, [part]);
            }
          });
        }
      });
    } finally {
      await from.close();
    }
  });
  return { method: options.sparse ? 'sparse' : 'full', bytes: size };
}

async function shareStorage(folder: Folder, from: string, to: string): Promise<boolean> {
  const partial = partialName(to);
  await folder.remove(partial);
  if (!(await folder.clone(from, partial))) return false;
  const file = await folder.open(partial, 'write');
  try {
    await file.flush();
  } finally {
    await file.close();
  }
  await folder.rename(partial, to);
  await folder.flush();
  return true;
}
