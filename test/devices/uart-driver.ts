import { Uart } from '../../engine/devices/uart/device.ts';
import {
  DATA,
  FCR_CLEAR_RECEIVER,
  FCR_CLEAR_TRANSMITTER,
  FCR_ENABLE,
  IER,
  IER_LINE_STATUS,
  IER_RECEIVED,
  IIR_FCR,
  LCR,
  LSR,
  LSR_DATA_READY,
  LSR_HOLDING_EMPTY,
  LSR_TRANSMITTER_EMPTY,
  MCR,
  MCR_DTR,
  MCR_OUT2,
  MCR_RTS,
  MSR,
} from '../../engine/devices/uart/registers.ts';
import { TestErrors, TestLine, TestPort } from '../contract/parts.ts';

/** FIFO control is written where interrupt identification is read. */
export const FCR = IIR_FCR;

// What IIR reads with the FIFOs on.
export const NONE = 0xc1;
export const RECEIVED = 0xc4;
export const TIMEOUT = 0xcc;
export const EMPTY = 0xc2;
export const LINE = 0xc6;
export const MODEM = 0xc0;
export const BOTH_EMPTY = LSR_HOLDING_EMPTY | LSR_TRANSMITTER_EMPTY;
/** FIFOs on, trigger level 8: what Linux uses for a 16550A. */
export const FIFOS = FCR_ENABLE | 0x80;

/** The UART as a driver uses it, with both ends of its line. */
export class Driver {
  readonly irq = new TestLine();
  readonly port = new TestPort();
  readonly errors = new TestErrors();
  uart = new Uart(this);

  get(register: number): number {
    return this.uart.read(register, 1);
  }

  put(register: number, value: number): void {
    this.uart.write(register, 1, value);
  }

  get ready(): boolean {
    return (this.get(LSR) & LSR_DATA_READY) !== 0;
  }

  /** Reads RBR while LSR says that there is something, as an interrupt handler does. */
  drain(most = Number.POSITIVE_INFINITY): string {
    const bytes: number[] = [];
    while (bytes.length < most && this.ready) bytes.push(this.get(DATA));
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }

  print(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.put(DATA, byte);
  }

  /** Linux's start-up: FIFOs cleared, registers read blindly, everything off. */
  startUp(): void {
    this.put(FCR, FCR_ENABLE);
    this.put(FCR, FCR_ENABLE | FCR_CLEAR_RECEIVER | FCR_CLEAR_TRANSMITTER);
    this.put(FCR, 0);
    for (const register of [LSR, DATA, IIR_FCR, MSR]) this.get(register);
    this.put(LCR, 3);
    this.put(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    for (const register of [LSR, DATA, IIR_FCR, MSR]) this.get(register);
    this.put(FCR, FIFOS);
    this.put(IER, IER_RECEIVED | IER_LINE_STATUS);
  }
}
