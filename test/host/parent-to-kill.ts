// Starts an engine, tells its own parent the process number, takes no output, and waits to be killed.
import type { MachineSettings } from '../../engine/api/settings.ts';
import { EngineClient } from '../../main/cli/engine-client.ts';

const client = new EngineClient({
  entry: new URL('./small-process.ts', import.meta.url),
  onEvent: event => {
    if (event.kind === 'console-output') process.send?.({ engine: client.pid });
  },
  onExit: () => process.exit(1),
});
client.send({ kind: 'start', settings: JSON.parse(process.argv[2]!) as MachineSettings });
