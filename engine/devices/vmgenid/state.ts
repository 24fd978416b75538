import { bool, bytesOf, since } from '../../state/kinds.ts';
import { type StateOf, section } from '../../state/section.ts';

/** Bytes of a generation. */
export const GENERATION_BYTES = 16;

export const generationSection = section(
  'vmgenid',
  { version: 2, oldest: 1 },
  {
    generation: bytesOf(GENERATION_BYTES),
    /** The guest has not looked since it changed. */
    changed: bool,
    /** The guest has looked at any since it started. */
    known: since(2, bool, true),
  },
);

export type GenerationState = StateOf<typeof generationSection>;
