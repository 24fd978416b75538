import { bool, list, struct, u53, u64 } from '../../state/kinds.ts';
import { type StateOf, section } from '../../state/section.ts';

/** What the register map has room for. */
export const MOST_HARTS = 4095;

export const clintSection = section(
  'clint',
  { version: 1, oldest: 1 },
  {
    /** What the guest read at the moment of saving; guest time goes on from there. */
    mtime: u53,
    harts: list(struct({ softwareInterrupt: bool, timeCompare: u64 }), MOST_HARTS),
  },
);

export type ClintState = StateOf<typeof clintSection>;
