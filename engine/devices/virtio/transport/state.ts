import { array, struct, u8, u32, type ValueOf } from '../../../state/kinds.ts';
import { queueKind } from '../queue/state.ts';

/** The transport's part of a virtio device's section: the registers of virtio 1.2, section 4.2.2, and its queues. */
export function transportKind(queues: number) {
  return struct({
    status: u8,
    interruptStatus: u8,
    deviceFeaturesSelect: u32,
    driverFeaturesSelect: u32,
    driverFeaturesLow: u32,
    driverFeaturesHigh: u32,
    queueSelect: u32,
    configGeneration: u32,
    queues: array(queueKind, queues),
  });
}
export type TransportState = ValueOf<ReturnType<typeof transportKind>>;
