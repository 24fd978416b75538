import { EventEmitter } from 'node:events';

/** An event whose default can be prevented, as Electron's are. */
export function preventable<Facts extends object>(
  facts?: Facts,
): Facts & { preventDefault(): void; defaultPrevented: boolean } {
  const event = {
    ...(facts as Facts),
    defaultPrevented: false,
    preventDefault() {
      event.defaultPrevented = true;
    },
  };
  return event;
}

export { EventEmitter };
