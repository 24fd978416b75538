import { guestPhys } from '../../../base/addresses.ts';
import { bool, type Kind, struct, u16, u32, u53, u64, type ValueOf } from '../../../state/kinds.ts';
import type { GuestRange } from './chain.ts';

/** A queue's registers and indices. Which chains are with the device is in the state of the device model. */
export const queueKind = struct({
  size: u32, // as written by the driver
  ready: bool,
  descriptors: u64,
  driver: u64,
  device: u64,
  nextAvailable: u16,
  used: u16,
  signalled: u16, // `used` when an interrupt was last considered
});
export type QueueState = ValueOf<typeof queueKind>;

const rangeFields = struct({ address: u53, length: u32 });

/** A guest range as Chain promises it: not empty and ending below 2^53. */
export const rangeKind: Kind<GuestRange> = {
  put: (sink, value) => rangeFields.put(sink, value),
  get(source) {
    const { address, length } = rangeFields.get(source);
    if (length === 0 || !Number.isSafeInteger(address + length)) source.refuse('is no range of guest memory');
    return { address: guestPhys(address), length };
  },
};
