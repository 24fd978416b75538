/** Guest time. Stands still while the machine is stopped. */
export interface TimeSource {
  /** Ticks of 10 MHz since some moment; never goes back, stays below 2^53. */
  ticks(): number;
}

/** Time of day in the host's world. May jump. */
export interface WallClock {
  /** Since 1970-01-01 00:00 UTC. */
  nanoseconds(): bigint;
}
