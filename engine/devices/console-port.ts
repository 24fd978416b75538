/**
 * The byte stream behind a serial port or console, as the device sees it. Bounded in both directions and never
 * waiting: what does not fit now is offered again later. Whoever holds the other end tells the run loop when
 * `available` or `room` has grown, and the run loop polls the device.
 */
export interface ConsolePort {
  /** Bytes that `read` could give now. */
  readonly available: number;
  /** Moves up to `into.length` bytes out of the port; returns how many. */
  read(into: Uint8Array): number;
  /** Bytes that `write` could take now. */
  readonly room: number;
  /** Takes bytes from the start of `from`; returns how many. */
  write(from: Uint8Array): number;
}
