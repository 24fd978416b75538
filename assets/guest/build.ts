// Builds the default guest from the command line: node assets/guest/build.ts [--force] [--json]
// Progress goes to standard error, one line a step; the result to standard output.
import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AfterimageError } from '../../engine/base/errors.ts';
import { ensureGuest, type Guest, type GuestProgress } from './guest.ts';

const USAGE = 'Usage: node assets/guest/build.ts [--force] [--json]';

/** One line for each step and each tenth of a download. */
function progressPrinter(): (progress: GuestProgress) => void {
  let last = '';
  return ({ step, done, total }) => {
    const tenth = done === undefined || !total ? '' : ` ${Math.floor((done / total) * 10) * 10} %`;
    const size = total === undefined ? '' : ` of ${Math.round(total / 1e6)} MB`;
    const line = `${step}${tenth}${tenth && size}`;
    if (line !== last) console.error(line);
    last = line;
  };
}

function printGuest(guest: Guest, asJson: boolean): void {
  if (asJson) {
    console.log(JSON.stringify(guest));
    return;
  }
  const size = (file: string) => `${(statSync(file).size / 1e6).toFixed(1)} MB`;
  console.log(`kernel  ${guest.kernel} (${size(guest.kernel)})`);
  console.log(`initrd  ${guest.initrd} (${size(guest.initrd)})`);
  console.log(`append  ${guest.append}`);
}

function parseOptions(): { force: boolean; json: boolean } {
  try {
    const { values } = parseArgs({
      options: { force: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    });
    return values;
  } catch (thrown) {
    throw new AfterimageError('usage', USAGE, {}, { cause: thrown });
  }
}

async function main(): Promise<number> {
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  process.once('SIGTERM', () => abort.abort());
  try {
    const options = parseOptions();
    const guest = await ensureGuest({
      force: options.force,
      onProgress: progressPrinter(),
      signal: abort.signal,
    });
    printGuest(guest, options.json);
    return 0;
  } catch (thrown) {
    if (abort.signal.aborted) {
      console.error('Stopped; nothing was left behind');
      return 130; // as a shell reports a program that ^C ended
    }
    const error = AfterimageError.from(thrown);
    console.error(error.message);
    return error.kind === 'usage' ? 2 : 1;
  }
}

process.exitCode = await main();
