import { list, optional, struct, u16, u53, type ValueOf } from '../../../state/kinds.ts';
import { type StateOf, section } from '../../../state/section.ts';
import { LARGEST_QUEUE } from '../queue/queue.ts';
import { rangeKind } from '../queue/state.ts';
import { transportKind } from '../transport/state.ts';

const heldKind = struct({
  head: u16, // first descriptor of its chain
  ranges: list(rangeKind, LARGEST_QUEUE), // what the driver wants printed
  done: u53, // bytes of it that the port has taken
});
export type HeldState = ValueOf<typeof heldKind>;

export const consoleSection = section(
  'virtio-console',
  { version: 1, oldest: 1 },
  {
    transport: transportKind(2),
    columns: u16,
    rows: u16,
    held: optional(heldKind), // the output that the port had no room for
  },
);
export type ConsoleState = StateOf<typeof consoleSection>;
