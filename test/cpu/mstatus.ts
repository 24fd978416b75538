// Fields of mstatus: privileged specification 3.1.6.
export const SIE = 1n << 1n;
export const MIE = 1n << 3n;
export const SPIE = 1n << 5n;
export const MPIE = 1n << 7n;
export const SPP = 1n << 8n;
export const MPP = 3n << 11n;
