/** Numbers of the CSRs that a boot plan names (privileged specification, tables of CSR addresses). */
export const CSR_NUMBERS: Readonly<Record<string, number>> = {
  scounteren: 0x106,
  medeleg: 0x302,
  mideleg: 0x303,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
};
