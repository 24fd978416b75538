// An engine process as engine/host/process.ts, with a small machine in it.
import { runEngineProcess } from '../../engine/host/engine-process.ts';
import { SMALL_PARTS } from './small-parts.ts';

runEngineProcess(SMALL_PARTS);
