// What of a boot plan a running machine still uses. It is saved, so that a restored machine needs none of the files that
// it was started from until its guest restarts (C17).
import type { BootPlan } from '../firmware/boot/plan.ts';
import { bool, bytesUpTo, list, struct, text, u53 } from '../state/kinds.ts';
import { type StateOf, section } from '../state/section.ts';
import { WINDOWS } from './platform.ts';

export const bootSection = section(
  'boot',
  { version: 1, oldest: 1 },
  {
    builtInSbi: bool,
    rom: bytesUpTo(WINDOWS.rom.size),
    /** Of a bare-metal program: see PROGRAM_SYMBOLS. */
    symbols: list(struct({ name: text(32), at: u53 }), 8),
  },
);

export type BootState = StateOf<typeof bootSection>;

export function bootStateOf({ builtInSbi, rom, symbols }: BootPlan): BootState {
  return { builtInSbi, rom: rom.bytes, symbols: [...symbols].map(([name, at]) => ({ name, at })) };
}
