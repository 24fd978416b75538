// The product's command line, started by afterimage.mjs on a Node that understands TypeScript.
import { commandLine } from './cli.ts';
import { STATUS } from './result.ts';
import { complain } from './run.ts';

/** What is left by now is a few lines of our own; a reader that does not take them must not keep us. */
const DRAIN_MILLISECONDS = 1000;

/** Serves this process's arguments with the given engine, then exits. Tests give it other machines' processes too. */
export async function main(engineEntry: URL, machineEntry?: URL): Promise<never> {
  process.on('uncaughtException', thrown => {
    // Handlers of `exit` put the terminal back.
    complain(thrown);
    process.exit(STATUS.failed);
  });
  let unwritten: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', error => {
    unwritten = error;
  });
  const parts = { engineEntry, ...(machineEntry === undefined ? {} : { machineEntry }) };
  let status = await commandLine(process.argv.slice(2), parts);
  const patience = new Promise(resolve => setTimeout(resolve, DRAIN_MILLISECONDS));
  await Promise.race([patience, Promise.all([process.stdout, process.stderr].map(drained))]);
  // A reader that has gone wants no more; anything else means that a script does not get what it asked for.
  if (unwritten !== undefined && unwritten.code !== 'EPIPE' && status === STATUS.ok) {
    status = STATUS.failed;
    process.stderr.write(`afterimage: standard output cannot be written (${unwritten.message})\n`);
  }
  process.exit(status);
}

/** Pipes take what is written later; a result must not be cut off by the exit. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed || stream.errored) return Promise.resolve();
  // Even with nothing left an error may be on its way.
  return new Promise(resolve => {
    stream.write('', () => resolve());
    stream.once('error', () => resolve());
  });
}
