/** How a machine's process ended, or was lost sight of. */
export interface TransportEnd {
  /** Of a process that we started; both null when it is another's, or could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of what it wrote to its standard error. */
  readonly lastWords: string;
  /** The connection broke for a reason of its own. */
  readonly problem?: unknown;
}

export interface TransportHandlers {
  /** Anything: the other side is not trusted to keep to the shapes. */
  message(message: unknown): void;
  /** Once, after the last message. */
  end(end: TransportEnd): void;
}

/** One connection to a machine's process, for the messages of engine/api/control.ts. */
export interface ControlTransport {
  /** What comes goes to these from now on; nothing came before. */
  open(handlers: TransportHandlers): void;
  /** After the end nothing happens. */
  send(message: unknown): void;
  /** Lets go of the process, which then lives as long as its machine runs or others need it. */
  close(): void;
}
