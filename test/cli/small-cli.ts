// The command line with a small machine instead of the real engine.
import { main } from '../../main/cli/main.ts';
import { SMALL_PROCESS } from '../host/small-process-url.ts';

await main(SMALL_PROCESS);
