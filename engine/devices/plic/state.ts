import { array, bytesOf, list, struct, u8, u32 } from '../../state/kinds.ts';
import { type StateOf, section } from '../../state/section.ts';
import { SOURCE_WORDS, SOURCES } from './registers.ts';

/** What the register map has room for. */
export const MOST_CONTEXTS = 15872;

const sourceBits = array(u32, SOURCE_WORDS);

export const plicSection = section(
  'plic',
  { version: 1, oldest: 1 },
  {
    priorities: bytesOf(SOURCES),
    /** Levels of the lines into the gateways. */
    levels: sourceBits,
    pending: sourceBits,
    /** Claimed and not yet completed: the gateway lets nothing through. */
    claimed: sourceBits,
    contexts: list(struct({ enabled: sourceBits, threshold: u8 }), MOST_CONTEXTS),
  },
);

export type PlicState = StateOf<typeof plicSection>;
