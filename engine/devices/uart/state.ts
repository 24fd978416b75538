import { bool, bytesUpTo, u8, u16 } from '../../state/kinds.ts';
import { type StateOf, section } from '../../state/section.ts';
import { FIFO_DEPTH } from './registers.ts';

/** Bytes taken from the port ahead of the FIFO, so that the port is asked once for many bytes. */
export const INCOMING_CAPACITY = 256;
/** Bytes kept for the port, likewise: at 50 µs between polls this is enough for 20 MB/s. */
export const OUTGOING_CAPACITY = 1024;

/** The most bytes sent at once to a guest that does not sleep: as many as Linux's line discipline holds. */
export const MOST_CREDIT = 4096;

export const uartSection = section(
  'uart',
  { version: 1, oldest: 1 },
  {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scratch: u8,
    divisor: u16,
    /** LSR bit 1: only loopback can overrun. */
    overrun: bool,
    /** MSR bits 3:0. */
    modemDeltas: u8,
    transmitterEmptyPending: bool,
    timeoutPending: bool,
    /** The guest has raised RTS since reset, so that lowering it means something. */
    rtsUsed: bool,
    /** The guest reads by polling LSR: input is presented without IER bit 0. */
    polledReader: bool,
    statusReads: u8,
    /** Oldest first, read before anything from the line. */
    loopedBack: bytesUpTo(FIFO_DEPTH),
    /** Oldest first; the first `presented` of them are in the receive FIFO. */
    incoming: bytesUpTo(INCOMING_CAPACITY),
    presented: u8,
    /** Bytes that may enter the FIFO before the guest has slept or time has passed. */
    credit: u16,
    /** Written by the guest and not yet taken by the port, oldest first. */
    outgoing: bytesUpTo(OUTGOING_CAPACITY),
  },
);

export type UartState = StateOf<typeof uartSection>;
