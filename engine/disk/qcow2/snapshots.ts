// The table of internal snapshots (QEMU docs/interop/qcow2.rst, "Snapshots"): read, kept, never changed.
import { readU64, roundUp, viewOf } from './bytes.ts';
import type { Header } from './header.ts';
import * as limits from './limits.ts';
import type { Storage } from './storage.ts';

const ENTRY_BYTES = 40;
const DURING = 'read snapshots';

export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** When it was taken, in milliseconds since 1970. */
  readonly time: number;
  /** Size of the disk then, in bytes; undefined when the image does not say. */
  readonly size: number | undefined;
  /** Bytes of machine state that it holds besides the disk. */
  readonly stateSize: number;
  readonly l1: { readonly offset: number; readonly entries: number };
}

export interface SnapshotTable {
  readonly snapshots: readonly Snapshot[];
  /** Bytes that the table takes in the file. */
  readonly length: number;
}

/** Reads the snapshot table. Throws `corrupt` or `too-large`. */
export async function readSnapshots(storage: Storage, header: Header): Promise<SnapshotTable> {
  const { offset, count } = header.snapshots;
  if (count === 0) return { snapshots: [], length: 0 };
  const most = Math.min(limits.MOST_SNAPSHOT_TABLE_BYTES, roundUp(storage.end, header.clusterSize) - offset);
  const bytes = await storage.readBytes(offset, most);
  const view = viewOf(bytes);
  const snapshots: Snapshot[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (at + ENTRY_BYTES > most) throw storage.corrupt('The snapshot table runs past its end', offset + at, DURING);
    const idLength = view.getUint16(at + 12);
    const nameLength = view.getUint16(at + 14);
    const extraLength = view.getUint32(at + 36);
    const end = at + ENTRY_BYTES + extraLength + idLength + nameLength;
    if (extraLength > limits.MOST_SNAPSHOT_EXTRA_BYTES || end > most) {
      throw storage.corrupt('A snapshot runs past the end of the table', offset + at, DURING);
    }
    const l1 = { offset: readU64(view, at), entries: view.getUint32(at + 8) };
    checkL1(storage, l1, offset + at);
    const idAt = at + ENTRY_BYTES + extraLength;
    snapshots.push({
      id: text(bytes, idAt, idLength),
      name: text(bytes, idAt + idLength, nameLength),
      time: view.getUint32(at + 16) * 1000 + Math.floor(view.getUint32(at + 20) / 1e6),
      size: extraLength >= 16 ? readU64(view, at + 48) : undefined,
      stateSize: extraLength >= 8 ? readU64(view, at + 40) : view.getUint32(at + 32),
      l1,
    });
    at = roundUp(end, 8);
  }
  return { snapshots, length: at };
}

function checkL1(storage: Storage, l1: Snapshot['l1'], at: number): void {
  if (l1.entries * 8 > limits.MOST_L1_BYTES) {
    throw storage.corrupt('The L1 table of a snapshot is too large', at, DURING);
  }
  if (l1.entries > 0) storage.checkRange(l1.offset, l1.entries * 8, DURING, 'The L1 table of a snapshot');
}

/** Names are for people: what is not UTF-8 is shown as far as it can be. */
function text(bytes: Uint8Array, at: number, length: number): string {
  return new TextDecoder().decode(bytes.subarray(at, at + length));
}
