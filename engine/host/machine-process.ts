// Main module of the process that owns a machine's folder, which is its argument. Without one it serves calls that need
// no folder. Started by `child_process.fork`, or by Electron's `utilityProcess.fork`.
import { ENGINE_PARTS } from './engine-parts.ts';
import { runMachineProcess } from './machine-main.ts';

runMachineProcess(ENGINE_PARTS, process.argv[2]);
