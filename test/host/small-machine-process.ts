// A machine's process as engine/host/machine-process.ts, with a small machine in it.
import { runMachineProcess } from '../../engine/host/machine-main.ts';
import { SMALL_PARTS } from './small-parts.ts';

runMachineProcess(SMALL_PARTS, process.argv[2]);
