// Main module of the hart's worker thread.
import { Machine } from '../machine/machine.ts';
import { runHartThread } from './hart-thread.ts';

runHartThread((parts, state) => new Machine(parts, state));
