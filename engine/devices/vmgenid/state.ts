import { bool, bytesOf } from '../../state/kinds.ts';
import { type StateOf, section } from '../../state/section.ts';

/** Bytes of a generation. */
export const GENERATION_BYTES = 16;

export const generationSection = section(
  'vmgenid',
  { version: 1, oldest: 1 },
  {
    generation: bytesOf(GENERATION_BYTES),
    /** The guest has not looked since it changed. */
    changed: bool,
  },
);

export type GenerationState = StateOf<typeof generationSection>;
