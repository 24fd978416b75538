// A second `npm start` or `afterimage serve` for one library: the first host is used.
import { AfterimageError } from '../../engine/base/errors.ts';
import { HostClaim, type OtherHost } from './host-claim.ts';
import type { ServeOptions } from './serve.ts';

/** A host that starts has its pages read and its library listed first. */
const START_MILLISECONDS = 15_000;
const LOOK_MILLISECONDS = 100;
const ANSWER_MILLISECONDS = 3000;

export interface UseOtherParts {
  readonly dataFolder: string;
  readonly options: ServeOptions;
  readonly print: (text: string) => void;
  readonly open: (address: string) => void;
}

/** Shows where it is. Errors: `locked` when it does not answer, `usage` for what only a new host could do. */
export async function useOther(first: OtherHost, { dataFolder, options, print, open }: UseOtherParts): Promise<number> {
  const { pid, address } = await settled(first, dataFolder);
  const wanted = [
    ...(options.port === undefined || options.port === 0 || options.port === portOf(address) ? [] : ['--port']),
    ...(options.allowHost === undefined ? [] : ['--allow-host']),
    ...(options.newToken === true ? ['--new-token'] : []),
  ];
  if (wanted.length > 0) {
    const text = `Process ${pid} serves this library already; ${wanted.join(', ')} needs it to end first (Ctrl-C there, or kill ${pid})`;
    throw new AfterimageError('usage', text, { pid: pid });
  }
  if (address === undefined || !(await answers(address))) {
    const text = `Process ${pid} has this library's browser host and does not answer; end it with: kill ${pid}`;
    throw new AfterimageError('locked', text, { pid });
  }
  print(`Afterimage runs already, at ${address}`);
  print(`Whoever has this address works with your machines. Ctrl-C where it was started ends it, or kill ${pid}.`);
  if (options.open !== false) open(address);
  return 0;
}

/** As it is when it has said its address, or too much time is over. */
async function settled(first: OtherHost, dataFolder: string): Promise<OtherHost> {
  const deadline = performance.now() + START_MILLISECONDS;
  let host = first;
  while (host.address === undefined && performance.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MILLISECONDS));
    const now = await HostClaim.take(dataFolder);
    if (now instanceof HostClaim) {
      await now.release();
      throw new AfterimageError(
        'state',
        `The browser host that was starting (process ${host.pid}) has ended; try again`,
      );
    }
    host = now;
  }
  return host;
}

/** Without the token: nothing is given to whoever listens there. */
async function answers(address: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MILLISECONDS);
    return (await fetch(new URL('/', address.replace(/#.*/, '')), { method: 'HEAD', signal })).ok;
  } catch {
    return false;
  }
}

function portOf(address: string | undefined): number | undefined {
  return address === undefined ? undefined : Number(new URL(address).port);
}
