import { type StateOf, section } from '../../state/section.ts';

/** The device remembers nothing; the section says that it is there. */
export const sysconSection = section('syscon', { version: 1, oldest: 1 }, {});

export type SysconState = StateOf<typeof sysconSection>;
