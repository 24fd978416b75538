// Main module of the engine process: one machine, started by `child_process.fork`.
import { ENGINE_PARTS } from './engine-parts.ts';
import { runEngineProcess } from './engine-process.ts';

runEngineProcess(ENGINE_PARTS);
