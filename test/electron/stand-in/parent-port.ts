// Loaded into a child process before its own code: makes its channel look like that of Electron's utility processes.
import { EventEmitter } from 'node:events';

/** Told apart from messages that the process's own code makes out of these. */
export interface Wrapped {
  readonly standIn: unknown;
}

const send = process.send?.bind(process);

class ParentPort extends EventEmitter {
  postMessage(message: unknown): void {
    send?.(message, () => {});
  }
}

const parentPort = new ParentPort();
/** As Electron's, it keeps what comes until somebody listens. */
const waiting: unknown[] = [];
parentPort.on('newListener', name => {
  if (name !== 'message' || parentPort.listenerCount('message') > 0) return;
  setImmediate(() => {
    for (const data of waiting.splice(0)) parentPort.emit('message', { data, ports: [] });
  });
});
Object.defineProperty(process, 'parentPort', { value: parentPort });
process.on('message', (message: Wrapped) => {
  if (!('standIn' in message)) return;
  if (waiting.length > 0 || parentPort.listenerCount('message') === 0) waiting.push(message.standIn);
  else parentPort.emit('message', { data: message.standIn, ports: [] });
});
// Electron ends its utility processes with itself.
process.on('disconnect', () => process.exit(0));
