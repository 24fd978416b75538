import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Decompressors } from '../firmware/loaders/decompress.ts';

/** What Node can decompress; for the rest the loader says how to do it by hand. */
export const decompressors: Decompressors = {
  gzip: (bytes, limit) => gunzipSync(bytes, { maxOutputLength: limit }),
  zstd: (bytes, limit) => zstdDecompressSync(bytes, { maxOutputLength: limit }),
};
