import type { GuestMemory } from '../../../memory/guest-memory.ts';
import { type Chain, type GuestRange, readRanges, sliceRanges } from '../queue/chain.ts';
import type { BlockRequestKind } from './backend.ts';
import {
  DISCARD_SECTORS,
  FEATURE,
  HEADER_BYTES,
  RESULT,
  SECTOR_BYTES,
  SPAN_BYTES,
  TYPE,
  UNMAP,
  WRITE_ZEROES_SECTORS,
} from './protocol.ts';

export interface AskedOfDisk {
  readonly what: 'disk';
  readonly kind: BlockRequestKind;
  readonly offset: number;
  readonly length: number;
  readonly ranges: readonly GuestRange[];
}

/** What a chain of the driver asks for. */
export type Asked =
  | AskedOfDisk
  | { readonly what: 'id' }
  | { readonly what: 'refused'; readonly result: number }
  /** The chain is no request at all. */
  | { readonly what: 'malformed'; readonly why: string };

/** What the answer depends on besides the chain. */
export interface DiskFacts {
  readonly size: number;
  readonly readonly: boolean;
  accepted(feature: number): boolean;
}

/** Also for what the device finds out later, when it pins or writes. */
export const OUTSIDE_RAM = 'Request is outside RAM';

const IO_ERROR: Asked = { what: 'refused', result: RESULT.IOERR };
const UNSUPPORTED: Asked = { what: 'refused', result: RESULT.UNSUPP };
const FLUSH: Asked = { what: 'disk', kind: 'flush', offset: 0, length: 0, ranges: [] };
const OUTSIDE: Asked = { what: 'malformed', why: OUTSIDE_RAM };

const header = new Uint8Array(HEADER_BYTES);
const headerView = new DataView(header.buffer);

/** Reads the request in `chain` (virtio 1.2, section 5.2.6). How it is cut into descriptors does not matter. */
export function parseRequest(memory: GuestMemory, chain: Chain, disk: DiskFacts): Asked {
  if (chain.readableLength < HEADER_BYTES) return { what: 'malformed', why: 'Request has no header' };
  if (chain.writableLength === 0) return { what: 'malformed', why: 'Request has no room for its status' };
  if (!readRanges(memory, chain.readable, 0, header)) return OUTSIDE;
  const sector = headerView.getUint32(8, true) + headerView.getUint32(12, true) * 2 ** 32;
  switch (headerView.getUint32(0, true)) {
    case TYPE.IN:
      return transfer(
        'read',
        sector,
        sliceRanges(chain.writable, 0, chain.writableLength - 1),
        chain.writableLength - 1,
        disk,
      );
    case TYPE.OUT: {
      const length = chain.readableLength - HEADER_BYTES;
      return transfer('write', sector, sliceRanges(chain.readable, HEADER_BYTES, length), length, disk);
    }
    case TYPE.FLUSH:
      return FLUSH;
    case TYPE.GET_ID:
      return { what: 'id' };
    case TYPE.DISCARD:
      return disk.accepted(FEATURE.DISCARD) ? span(memory, chain, 'discard', disk) : UNSUPPORTED;
    case TYPE.WRITE_ZEROES:
      return disk.accepted(FEATURE.WRITE_ZEROES) ? span(memory, chain, 'write-zeroes', disk) : UNSUPPORTED;
    default:
      return UNSUPPORTED;
  }
}

function transfer(
  kind: 'read' | 'write',
  sector: number,
  ranges: readonly GuestRange[],
  length: number,
  disk: DiskFacts,
): Asked {
  if (kind === 'write' && disk.readonly) return IO_ERROR;
  return within(kind, sector, length, ranges, disk);
}

// We offer one segment a request, as other monitors do: more than that is not supported.
function span(memory: GuestMemory, chain: Chain, kind: 'discard' | 'write-zeroes', disk: DiskFacts): Asked {
  const length = chain.readableLength - HEADER_BYTES;
  if (length < SPAN_BYTES || length % SPAN_BYTES !== 0) return IO_ERROR;
  if (length > SPAN_BYTES) return UNSUPPORTED;
  if (!readRanges(memory, chain.readable, HEADER_BYTES, header)) return OUTSIDE;
  const sector = headerView.getUint32(0, true) + headerView.getUint32(4, true) * 2 ** 32;
  const sectors = headerView.getUint32(8, true);
  const flags = headerView.getUint32(12, true);
  if ((flags & ~(kind === 'discard' ? 0 : UNMAP)) !== 0) return UNSUPPORTED;
  if (disk.readonly) return IO_ERROR;
  return within(kind, sector, sectors * SECTOR_BYTES, [], disk);
}

function within(
  kind: BlockRequestKind,
  sector: number,
  length: number,
  ranges: readonly GuestRange[],
  disk: DiskFacts,
): Asked {
  const offset = sector * SECTOR_BYTES;
  return lengthFits(kind, offset, length, disk) ? { what: 'disk', kind, offset, length, ranges } : IO_ERROR;
}

/** True for a range of whole sectors within the disk that a request of this kind may have. */
export function lengthFits(kind: BlockRequestKind, offset: number, length: number, disk: DiskFacts): boolean {
  if (offset % SECTOR_BYTES !== 0 || length % SECTOR_BYTES !== 0) return false;
  if (kind === 'discard' && length > DISCARD_SECTORS * SECTOR_BYTES) return false;
  if (kind === 'write-zeroes' && length > WRITE_ZEROES_SECTORS * SECTOR_BYTES) return false;
  return offset + length <= disk.size;
}
