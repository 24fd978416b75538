// National Semiconductor PC16550D data sheet, section 8 (registers). One byte each, at these offsets.

/** Read: receiver buffer; write: transmitter holding; with DLAB: low byte of the divisor. */
export const DATA = 0;
/** Interrupt enable; with DLAB: high byte of the divisor. */
export const IER = 1;
/** Read: interrupt identification; write: FIFO control. */
export const IIR_FCR = 2;
export const LCR = 3;
export const MCR = 4;
export const LSR = 5;
export const MSR = 6;
export const SCRATCH = 7;

export const IER_RECEIVED = 0x01;
export const IER_TRANSMITTER_EMPTY = 0x02;
export const IER_LINE_STATUS = 0x04;
export const IER_MODEM_STATUS = 0x08;
export const IER_MASK = 0x0f;

// In the order of their priority, highest first.
export const IIR_LINE_STATUS = 0x06;
export const IIR_RECEIVED = 0x04;
export const IIR_TIMEOUT = 0x0c;
export const IIR_TRANSMITTER_EMPTY = 0x02;
export const IIR_MODEM_STATUS = 0x00;
export const IIR_NONE = 0x01;
export const IIR_FIFOS_ENABLED = 0xc0;

export const FCR_ENABLE = 0x01;
export const FCR_CLEAR_RECEIVER = 0x02;
export const FCR_CLEAR_TRANSMITTER = 0x04;
/** Bits that are remembered: enable, DMA mode and trigger level. */
export const FCR_MASK = 0xc9;

export const LCR_DLAB = 0x80;

export const MCR_DTR = 0x01;
export const MCR_RTS = 0x02;
export const MCR_OUT1 = 0x04;
export const MCR_OUT2 = 0x08;
export const MCR_LOOP = 0x10;
export const MCR_MASK = 0x1f;

export const LSR_DATA_READY = 0x01;
export const LSR_OVERRUN = 0x02;
export const LSR_HOLDING_EMPTY = 0x20;
export const LSR_TRANSMITTER_EMPTY = 0x40;

export const MSR_DELTA_CTS = 0x01;
export const MSR_DELTA_DSR = 0x02;
export const MSR_TRAILING_RI = 0x04;
export const MSR_DELTA_DCD = 0x08;
export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;
export const MSR_DELTAS = 0x0f;

export const FIFO_DEPTH = 16;
/** Receiver trigger levels by FCR bits 7:6. */
export const TRIGGER_LEVELS: readonly number[] = [1, 4, 8, 14];
