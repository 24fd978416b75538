import { promisify } from 'node:util';
import { deflateRaw, inflateRaw, zstdCompress, zstdDecompress } from 'node:zlib';
import type { ClusterCodecs } from '../disk/qcow2/compressed.ts';

const inflate = promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(inflateRaw);
const deflate = promisify<Uint8Array, { windowBits: number }, Uint8Array>(deflateRaw);
const unzstd = promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(zstdDecompress);
const zstd = promisify<Uint8Array, Uint8Array>(zstdCompress);

/** The largest window that other readers of qcow2 accept. */
const WINDOW_BITS = 12;

/** Node's own compressors, on its thread pool. */
export const clusterCodecs: ClusterCodecs = {
  inflate: (bytes, limit) => inflate(bytes, { maxOutputLength: limit }),
  unzstd: (bytes, limit) => unzstd(bytes, { maxOutputLength: limit }),
  deflate: bytes => deflate(bytes, { windowBits: WINDOW_BITS }),
  zstd: bytes => zstd(bytes),
};
