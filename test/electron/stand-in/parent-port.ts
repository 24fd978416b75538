// Loaded into a child process before its own code: makes its channel look like that of Electron's utility processes.
import { EventEmitter } from 'node:events';

class ParentPort extends EventEmitter {
  postMessage(message: unknown): void {
    process.send?.(message, () => {});
  }
}

const parentPort = new ParentPort();
Object.defineProperty(process, 'parentPort', { value: parentPort });
process.on('message', data => parentPort.emit('message', { data, ports: [] }));
// Electron ends its utility processes with itself.
process.on('disconnect', () => process.exit(0));
