import { bool, u32, u64 } from '../../state/kinds.ts';
import { type StateOf, section } from '../../state/section.ts';

export const rtcSection = section(
  'rtc',
  { version: 1, oldest: 1 },
  {
    /** Guest's time of day less the host's, modulo 2^64: after a restore the clock is right again by itself. */
    offset: u64,
    latchedHigh: u32,
    alarm: u64,
    alarmArmed: bool,
    interruptPending: bool,
    interruptEnabled: bool,
  },
);

export type RtcState = StateOf<typeof rtcSection>;
