// A machine's process as Electron's utility process: the same messages as with `child_process.fork`.
import type { ForkEngine, StartEngine } from '../engines/fork-engine.ts';
import type { ElectronModule } from './electron.ts';

/** Kept of what a process says: the end, where a crash explains itself. */
const LAST_WORDS = 4096;
/** `waitpid` tells a signal like this. */
const KILLED = 9;

export function utilityEngines({ utilityProcess }: Pick<ElectronModule, 'utilityProcess'>, entry: string): StartEngine {
  return (folder): ForkEngine => {
    const child = utilityProcess.fork(entry, folder === undefined ? [] : [folder], {
      serviceName: 'Afterimage machine',
      stdio: ['ignore', 'ignore', 'pipe'],
      execArgv: [],
    });
    let words = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      words = (words + bytes.toString('utf8')).slice(-LAST_WORDS);
    });
    // An `error` that nobody hears would end the app; `exit` follows.
    child.on('error', (type, location) => {
      words = `${words}${type} at ${location}\n`.slice(-LAST_WORDS);
    });
    return {
      get pid() {
        return child.pid;
      },
      send: message => child.postMessage(message),
      onMessage: listener => void child.on('message', listener),
      onExit: listener => {
        child.once('exit', code =>
          listener(code === KILLED ? { code: null, signal: 'SIGKILL' } : { code, signal: null }),
        );
      },
      kill: () => {
        if (child.pid !== undefined) process.kill(child.pid, 'SIGKILL');
      },
      // It has no channel that could be closed; asked to end, it closes its machine's folder first.
      letGo: () => void child.kill(),
      lastWords: () => words,
    };
  };
}
