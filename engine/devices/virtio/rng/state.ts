import { type StateOf, section } from '../../../state/section.ts';
import { transportKind } from '../transport/state.ts';

export const rngSection = section('virtio-rng', { version: 1, oldest: 1 }, { transport: transportKind(1) });
export type RngState = StateOf<typeof rngSection>;
