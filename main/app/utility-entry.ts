// First module of a utility process that serves what was written for `child_process.fork`: gives it that channel, then
// loads the module that its argument names.
import { pathToFileURL } from 'node:url';

interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

const { parentPort } = process as unknown as { readonly parentPort: ParentPort };

Object.defineProperties(process, {
  connected: { value: true },
  send: {
    value: (message: unknown, done?: () => void) => {
      parentPort.postMessage(message);
      done?.();
      return true;
    },
  },
});
await import(pathToFileURL(process.argv[2]!).href);
// Last: the port keeps what comes until somebody listens, and the module does so only from now on.
parentPort.on('message', ({ data }) => void process.emit('message', data, undefined));
