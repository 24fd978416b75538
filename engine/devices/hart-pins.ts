/** Interrupt inputs of a hart: bit numbers of `mip` (privileged specification, table of interrupt codes). */
export const MSIP = 3;
export const MTIP = 7;
export const SEIP = 9;
export const MEIP = 11;

/** The wires from the interrupt controllers to one hart. Setting the level it already has is free. */
export interface HartPins {
  set(bit: number, level: boolean): void;
}
