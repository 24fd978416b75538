import { runHartThread } from '../../engine/host/hart-thread.ts';
import { SmallMachine } from './small-machine.ts';

runHartThread(parts => new SmallMachine(parts));
