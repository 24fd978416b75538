import { AfterimageError } from '../base/errors.ts';
import { damaged, type Place } from './format.ts';

type Bytes = Uint8Array | Promise<Uint8Array>;

export type Codec = 'none' | 'zstd' | 'deflate';
/** In the order of their numbers in the file. */
export const CODECS: readonly Codec[] = ['none', 'zstd', 'deflate'];

/** What the host brings to compress and decompress blocks with. Decompression throws on damaged input. */
export interface BlockCodecs {
  /** With what new blocks are compressed; without it they are stored as they are. */
  readonly compress?: {
    readonly codec: 'zstd' | 'deflate';
    run(bytes: Uint8Array): Bytes;
    /**
     * `backlogged`: only while the file takes longer than the pages, so that compressing never makes saving slower.
     * Always unless said.
     */
    readonly when?: 'always' | 'backlogged';
  };
  /** One zstd frame; throws when it gives more than `limit` bytes. */
  readonly unzstd?: (bytes: Uint8Array, limit: number) => Bytes;
  /** One raw deflate stream; throws when it gives more than `limit` bytes. */
  readonly inflate?: (bytes: Uint8Array, limit: number) => Bytes;
}

/**
 * The content of a stored block of `size` bytes.
 * @throws AfterimageError `corrupt` when the bytes do not give it, `unsupported` when the host lacks the codec.
 */
export async function decompressBlock(
  codecs: BlockCodecs,
  codec: Codec,
  stored: Uint8Array,
  size: number,
  place: Place,
): Promise<Uint8Array> {
  if (codec === 'none') return stored;
  const run = codec === 'zstd' ? codecs.unzstd : codecs.inflate;
  if (run === undefined) {
    throw new AfterimageError('unsupported', `Nothing here can decompress ${codec}`, { ...place, codec });
  }
  let content: Uint8Array;
  try {
    content = await run(stored, size);
  } catch (cause) {
    throw damaged('a block cannot be decompressed', place, { codec }, cause);
  }
  if (content.length !== size) throw damaged('a block has another size than its pages', place, { codec });
  return content;
}
