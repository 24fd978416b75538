/** Width of one register access in bytes. */
export type AccessWidth = 1 | 2 | 4 | 8;

/**
 * A device on the memory bus. Called on the hart thread only, never re-entered, never throws on guest input:
 * what the specification leaves undefined reads as 0 and is ignored when written.
 */
export interface MmioDevice {
  /** Unique name in the machine, e.g. `uart0`; also the name of its checkpoint section. */
  readonly name: string;
  /** `offset` is within the device's window. The result is an unsigned integer below 2^(8*width); 2^53 for width 8. */
  read(offset: number, width: AccessWidth): number;
  write(offset: number, width: AccessWidth, value: number): void;
  /** Back to the state after power-on. */
  reset(): void;
}

/** A 64-bit value as two unsigned words. */
export interface WideValue {
  low: number;
  high: number;
}

/**
 * A device with 64-bit registers that must be accessed in one piece (a timer that may carry between two halves).
 * All other devices get an 8-byte access as two of 4 bytes, low word first.
 */
export interface WideDevice extends MmioDevice {
  readWide(offset: number, result: WideValue): void;
  writeWide(offset: number, low: number, high: number): void;
}

/** A level-triggered interrupt line into the PLIC. Setting the level it already has is free. */
export interface IrqLine {
  set(level: boolean): void;
}

/** Reports that the guest did something that the specification forbids: counted and shown, never fatal to us. */
export interface GuestErrors {
  report(device: string, what: string): void;
}
