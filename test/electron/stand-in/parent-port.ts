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
Object.defineProperty(process, 'parentPort', { value: parentPort });
process.on('message', (message: Wrapped) => {
  if ('standIn' in message) parentPort.emit('message', { data: message.standIn, ports: [] });
});
// Electron ends its utility processes with itself.
process.on('disconnect', () => process.exit(0));
