import { type GuestPhys, guestPhys } from '../../../base/addresses.ts';
import { refuseState } from '../../../state/section.ts';
import type { Chain, GuestRange } from '../queue/chain.ts';
import type { SplitQueue } from '../queue/queue.ts';
import type { BlockRequestKind } from './backend.ts';
import { type DiskFacts, lengthFits } from './request.ts';
import { blockSection, type InFlightState } from './state.ts';

/** A request that the backend has and the driver waits for. */
export interface InFlight {
  readonly id: number;
  readonly chain: Chain;
  readonly kind: BlockRequestKind;
  readonly offset: number;
  readonly length: number;
  readonly ranges: readonly GuestRange[];
  readonly statusAt: GuestPhys;
  /** What the used ring says when it succeeds. */
  readonly written: number;
  readonly flushAfter: boolean;
  /** Came with a restored state and is with no backend. */
  readonly dormant: boolean;
}

/** The requests that the driver waits for, in the order of submission. */
export class InFlightTable {
  readonly #requests = new Map<number, InFlight>();
  #bytes = 0;

  /** Guest memory that they read or write together. */
  get bytes(): number {
    return this.#bytes;
  }

  get(id: number): InFlight | undefined {
    return this.#requests.get(id);
  }

  add(request: InFlight): void {
    this.#requests.set(request.id, request);
    this.#bytes += memoryBytes(request);
  }

  /** False when the request is not, or no longer, here. */
  remove(request: InFlight): boolean {
    if (this.#requests.get(request.id) !== request) return false;
    this.#requests.delete(request.id);
    this.#bytes -= memoryBytes(request);
    return true;
  }

  clear(): void {
    this.#requests.clear();
    this.#bytes = 0;
  }

  all(): InFlight[] {
    return [...this.#requests.values()];
  }

  /** Those whose chain the queue still knows. */
  ownedBy(queue: SplitQueue): InFlight[] {
    return this.all().filter(request => queue.owns(request.chain));
  }
}

function memoryBytes({ ranges, length }: InFlight): number {
  return ranges.length > 0 ? length : 0;
}

export function saveInFlight(request: InFlight): InFlightState {
  const { id, chain, kind, offset, length, ranges, statusAt, written, flushAfter } = request;
  const copies = ranges.map(range => ({ address: range.address, length: range.length }));
  return { id, head: chain.head, kind, offset, length, ranges: copies, statusAt, written, flushAfter };
}

/** @throws AfterimageError `corrupt` when no driver can have made such a request of this disk. */
export function loadInFlight(state: InFlightState, queue: SplitQueue, disk: DiskFacts): InFlight {
  const { id, kind, offset, length, ranges, statusAt, written, flushAfter } = state;
  const refuse = (what: string): never => refuseState(blockSection, `inFlight request ${id}`, what);
  const chain = queue.adopt(state.head) ?? refuse('has a head that cannot be in use');
  const bytes = ranges.reduce((sum, range) => sum + range.length, 0);
  if (bytes !== (kind === 'read' || kind === 'write' ? length : 0)) refuse('has memory of another length');
  if ((kind === 'flush') !== (length === 0) || !lengthFits(kind, offset, length, disk))
    refuse('is not within the disk');
  if (disk.readonly && kind !== 'read' && kind !== 'flush') refuse('writes to a read-only disk');
  if (flushAfter && kind !== 'write' && kind !== 'write-zeroes') refuse('flushes without writing');
  if (kind === 'read' ? written !== length + 1 : written > 1) refuse('reports a length that it cannot have');
  return { id, chain, kind, offset, length, ranges, statusAt: guestPhys(statusAt), written, flushAfter, dormant: true };
}
