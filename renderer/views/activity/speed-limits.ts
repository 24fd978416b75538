// Speed limits that are offered for jobs.
import { MIB } from '../../../engine/api/settings.ts';

/** Bytes per second; 0: none. */
export const SPEED_LIMITS = [0, 100 * MIB, 50 * MIB, 20 * MIB, 10 * MIB, 5 * MIB, MIB] as const;
