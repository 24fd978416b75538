import { createContext } from 'svelte';
import type { MachineActions } from './machine-actions.ts';

export const [useActions, provideActions] = createContext<MachineActions>();
