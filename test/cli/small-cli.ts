// The command line with small machines instead of the real engine.
import { main } from '../../main/cli/main.ts';
import { SMALL_PROCESS } from '../host/small-process-url.ts';

// A mistake of ours, on demand.
process.once('SIGUSR2', () => {
  throw new TypeError('a mistake in the command line');
});
await main(SMALL_PROCESS, new URL('../host/small-machine-process.ts', import.meta.url));
