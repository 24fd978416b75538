import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { BlockCodecs } from '../checkpoint/codecs.ts';

interface Limit {
  readonly maxOutputLength: number;
}

const inflate = promisify<Uint8Array, Limit, Uint8Array>(zlib.inflateRaw);
const deflate = promisify<Uint8Array, { level: number }, Uint8Array>(zlib.deflateRaw);
/** Node has zstd since 22.15; without it blocks are deflated, and those with zstd are refused by name. */
const hasZstd = typeof zlib.zstdCompress === 'function';

function zstdCodecs(): Pick<BlockCodecs, 'compress' | 'unzstd'> {
  const zstd = promisify<Uint8Array, Uint8Array>(zlib.zstdCompress);
  const unzstd = promisify<Uint8Array, Limit, Uint8Array>(zlib.zstdDecompress);
  return {
    compress: { codec: 'zstd', run: bytes => zstd(bytes), when: 'backlogged' },
    unzstd: (bytes, limit) => unzstd(bytes, { maxOutputLength: limit }),
  };
}

/** Compressors of blocks on Node's thread pool; used only while the disk is what the saver waits for. */
export const blockCodecs: BlockCodecs = {
  compress: { codec: 'deflate', run: bytes => deflate(bytes, { level: 1 }), when: 'backlogged' },
  inflate: (bytes, limit) => inflate(bytes, { maxOutputLength: limit }),
  ...(hasZstd ? zstdCodecs() : {}),
};
