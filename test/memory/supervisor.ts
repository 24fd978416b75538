/** Goes on in S-mode at the next instruction, with translation by these tables and everything open to it. */
export function enterSupervisor(satp: bigint): string {
  return `
      li t0, 0x1f
      csrw pmpcfg0, t0
      li t0, -1
      csrw pmpaddr0, t0
      li t0, ${satp}
      csrw satp, t0
      li t0, ${1n << 61n}
      csrw menvcfg, t0
      la t0, supervisor
      csrw mepc, t0
      li t0, 0x800
      csrs mstatus, t0
      li t0, 0x6000
      csrs mstatus, t0
      mret
    supervisor:`;
}
