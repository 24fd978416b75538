// Where QEMU 7.2 and our machine differ and both are right: the specification leaves the choice, or QEMU falls short of
// it. Everything else that differs is a bug.

/** One trap as a record describes it. */
export interface NotedTrap {
  readonly cause: bigint;
  readonly tval: bigint;
  readonly epc: bigint;
}

interface Exception {
  readonly reason: string;
  /** @param name instruction that trapped */
  readonly allows: (name: string, ours: NotedTrap, theirs: NotedTrap) => boolean;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    // Privileged specification 3.1.16: mtval is either zero or the address of the EBREAK. We write the address.
    reason: 'EBREAK: QEMU 7.2 writes zero to mtval',
    allows: (name, ours, theirs) => name.endsWith('ebreak') && ours.tval === ours.epc && theirs.tval === 0n,
  },
  {
    // Unprivileged specification 8.4 and privileged 3.1.15: faults of an AMO are store/AMO exceptions, two above those
    // of a load. QEMU does so only with several harts.
    reason: 'AMO: QEMU 7.2 with one hart reports the faults of a load',
    allows: (name, ours, theirs) =>
      name.startsWith('amo') && ours.cause === theirs.cause + 2n && ours.tval === theirs.tval,
  },
];

/** Whether two descriptions of a trap agree, or differ as they may. */
export function sameTrap(name: string, ours: NotedTrap, theirs: NotedTrap): boolean {
  if (ours.epc !== theirs.epc) return false;
  const same = ours.cause === theirs.cause && ours.tval === theirs.tval;
  return same || EXCEPTIONS.some(each => each.allows(name, ours, theirs));
}
