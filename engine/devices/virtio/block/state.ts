import { bool, choice, list, struct, u16, u53, type ValueOf } from '../../../state/kinds.ts';
import { type StateOf, section } from '../../../state/section.ts';
import { LARGEST_QUEUE } from '../queue/queue.ts';
import { rangeKind } from '../queue/state.ts';
import { transportKind } from '../transport/state.ts';

const inFlightKind = struct({
  id: u53,
  head: u16, // first descriptor of its chain
  kind: choice('read', 'write', 'flush', 'discard', 'write-zeroes'),
  offset: u53,
  length: u53,
  ranges: list(rangeKind, LARGEST_QUEUE), // guest memory read or written
  statusAt: u53, // guest-physical address of the status byte
  written: u53, // what the used ring says when it succeeds
  flushAfter: bool, // the driver expects writes to be durable when they complete
});
export type InFlightState = ValueOf<typeof inFlightKind>;

export const blockSection = section(
  'virtio-blk',
  { version: 1, oldest: 1 },
  {
    transport: transportKind(1),
    inFlight: list(inFlightKind, LARGEST_QUEUE), // in the order of submission
  },
);
export type BlockState = StateOf<typeof blockSection>;
