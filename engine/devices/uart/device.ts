import { refuseState, type Saves } from '../../state/section.ts';
import type { ConsolePort } from '../console-port.ts';
import type { AccessWidth, GuestErrors, IrqLine, MmioDevice } from '../device.ts';
import { Modem } from './modem.ts';
import { Outgoing } from './outgoing.ts';
import { Receiver } from './receiver.ts';
import {
  DATA,
  FCR_CLEAR_RECEIVER,
  FCR_CLEAR_TRANSMITTER,
  FCR_ENABLE,
  FCR_MASK,
  FIFO_DEPTH,
  IER,
  IER_LINE_STATUS,
  IER_MASK,
  IER_MODEM_STATUS,
  IER_RECEIVED,
  IER_TRANSMITTER_EMPTY,
  IIR_FCR,
  IIR_FIFOS_ENABLED,
  IIR_LINE_STATUS,
  IIR_MODEM_STATUS,
  IIR_NONE,
  IIR_RECEIVED,
  IIR_TIMEOUT,
  IIR_TRANSMITTER_EMPTY,
  LCR,
  LCR_DLAB,
  LSR,
  LSR_DATA_READY,
  LSR_HOLDING_EMPTY,
  LSR_OVERRUN,
  LSR_TRANSMITTER_EMPTY,
  MCR,
  MCR_MASK,
  MSR,
  MSR_DELTAS,
  SCRATCH,
  TRIGGER_LEVELS,
} from './registers.ts';
import { MOST_CREDIT, OUTGOING_CAPACITY, type UartState, uartSection } from './state.ts';

export interface UartParts {
  readonly irq: IrqLine;
  readonly port: ConsolePort;
  readonly errors: GuestErrors;
}

/** 9600 baud from 1.8432 MHz, what firmware usually leaves. The divisor has no effect here. */
const DEFAULT_DIVISOR = 12;
/** A driver that starts up reads LSR a few times; one that waits for input reads nothing else. */
const STATUS_READS_OF_A_POLLED_READER = 16;

/**
 * NS16550A without a baud rate: bytes move at once, as far as the port has them or has room for them.
 *
 * Nothing is lost between port and a guest that keeps to the data sheet:
 * - The holding register is reported empty only while a whole FIFO's worth of bytes can be kept. The transmitter is
 *   reported empty with it; bytes still kept here count as on the line.
 * - Input enters the receive FIFO only when there is room, so the line never overruns it, not faster than an
 *   interrupt-driven guest can work on it (see receiver.ts), and not while the guest holds RTS low after having raised
 *   it once (a guest that never touches MCR is not asked for flow control).
 *
 * Two deliberate deviations keep what was typed or piped in before a driver listens. Linux's start-up clears the
 * FIFOs and reads RBR blindly, with IER at 0; a real line would have no sender yet, ours often has:
 * - Input is presented only to a guest that looks for it: one that set IER bit 0, or that read LSR 16 times in a row
 *   with no other access between (firmware that polls; it stays so until IER, LCR or FCR is written).
 * - Bytes from the line that are in the FIFO when it is cleared, or when the guest stops looking, go back in front of
 *   the rest instead of being dropped. For the same reason what is kept for the port and what was taken from it
 *   survive reset: they are on the line, not in the chip.
 *
 * The character timeout does not wait for four character times: it is pending as soon as `poll` finds bytes below the
 * trigger level.
 */
export class Uart implements MmioDevice, Saves<UartState> {
  readonly name = 'uart0';
  readonly #irq: IrqLine;
  readonly #errors: GuestErrors;
  readonly #receiver: Receiver;
  readonly #modem = new Modem();
  readonly #outgoing: Outgoing;
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #scratch = 0;
  #divisor = DEFAULT_DIVISOR;
  #transmitterEmptyPending = false;
  #polledReader = false;
  #statusReads = 0;

  constructor(parts: UartParts) {
    this.#irq = parts.irq;
    this.#errors = parts.errors;
    this.#receiver = new Receiver(parts.port);
    this.#outgoing = new Outgoing(parts.port, OUTGOING_CAPACITY);
  }

  /** @throws AfterimageError `corrupt` for values that registers or FIFOs cannot hold. */
  static restore(parts: UartParts, state: UartState): Uart {
    const masks: [keyof UartState & ('ier' | 'fcr' | 'mcr' | 'modemDeltas'), number][] = [
      ['ier', IER_MASK],
      ['fcr', FCR_MASK],
      ['mcr', MCR_MASK],
      ['modemDeltas', MSR_DELTAS],
    ];
    for (const [field, mask] of masks) {
      if ((state[field] & ~mask) !== 0) refuseState(uartSection, field, 'has bits that the register lacks');
    }
    if (state.statusReads >= STATUS_READS_OF_A_POLLED_READER) refuseState(uartSection, 'statusReads', 'is too large');
    if (state.presented > state.incoming.length || state.presented + state.loopedBack.length > FIFO_DEPTH) {
      refuseState(uartSection, 'presented', 'is more than the FIFO holds');
    }
    if (state.credit > MOST_CREDIT) refuseState(uartSection, 'credit', 'is too large');
    const uart = new Uart(parts);
    uart.#ier = state.ier;
    uart.#fcr = state.fcr;
    uart.#lcr = state.lcr;
    uart.#scratch = state.scratch;
    uart.#divisor = state.divisor;
    uart.#transmitterEmptyPending = state.transmitterEmptyPending;
    uart.#polledReader = state.polledReader;
    uart.#statusReads = state.statusReads;
    uart.#receiver.restore(state);
    uart.#modem.restore(state);
    uart.#outgoing.restore(state.outgoing);
    uart.#drive();
    return uart;
  }

  save(): UartState {
    return {
      ...this.#receiver.save(),
      ...this.#modem.save(),
      ier: this.#ier,
      fcr: this.#fcr,
      lcr: this.#lcr,
      scratch: this.#scratch,
      divisor: this.#divisor,
      transmitterEmptyPending: this.#transmitterEmptyPending,
      polledReader: this.#polledReader,
      statusReads: this.#statusReads,
      outgoing: this.#outgoing.save(),
    };
  }

  reset(): void {
    this.#outgoing.flush();
    this.#receiver.reset();
    this.#modem.reset();
    this.#ier = 0;
    this.#fcr = 0;
    this.#lcr = 0;
    this.#scratch = 0;
    this.#divisor = DEFAULT_DIVISOR;
    this.#transmitterEmptyPending = false;
    this.#polledReader = false;
    this.#statusReads = 0;
    this.#drive();
  }

  /** Bytes written by the guest that the port has not taken yet. */
  get pendingOutput(): number {
    return this.#outgoing.length;
  }

  /**
   * Moves bytes between line and port. To be called about every 50 µs of guest execution (not of host time: the rate
   * of input follows from it), when the port has changed, and before sleeping, then with `sleeping` set: the hart has
   * executed WFI and no interrupt was pending.
   */
  poll(sleeping = false): void {
    const wasEmpty = this.#holdingEmpty();
    this.#outgoing.flush();
    if (!wasEmpty && this.#holdingEmpty()) this.#transmitterEmptyPending = true;
    // A guest that sleeps while it holds RTS low may still have bytes to work on.
    this.#receiver.earn(sleeping && this.#modem.readyToReceive);
    this.#present();
    const held = this.#receiver.held;
    if (held > 0 && held < this.#triggerLevel()) this.#receiver.timeoutPending = true;
    this.#drive();
  }

  read(offset: number, _width: AccessWidth): number {
    if (offset === LSR) return this.#readLineStatus();
    this.#statusReads = 0;
    switch (offset) {
      case DATA:
        return this.#divisorAddressed() ? this.#divisor & 0xff : this.#receive();
      case IER:
        return this.#divisorAddressed() ? this.#divisor >>> 8 : this.#ier;
      case IIR_FCR: {
        const cause = this.#cause();
        if (cause === IIR_TRANSMITTER_EMPTY) {
          this.#transmitterEmptyPending = false;
          this.#drive();
        }
        return this.#fifosEnabled() ? cause | IIR_FIFOS_ENABLED : cause;
      }
      case LCR:
        return this.#lcr;
      case MCR:
        return this.#modem.control;
      case MSR: {
        const status = this.#modem.takeStatus();
        this.#drive();
        return status;
      }
      case SCRATCH:
        return this.#scratch;
      default:
        return 0;
    }
  }

  write(offset: number, _width: AccessWidth, value: number): void {
    const byte = value & 0xff;
    this.#statusReads = 0;
    switch (offset) {
      case DATA:
        if (this.#divisorAddressed()) this.#divisor = (this.#divisor & 0xff00) | byte;
        else this.#transmit(byte);
        break;
      case IER:
        if (this.#divisorAddressed()) this.#divisor = (this.#divisor & 0x00ff) | (byte << 8);
        else this.#writeInterruptEnable(byte & IER_MASK);
        break;
      case IIR_FCR:
        this.#writeFifoControl(byte);
        break;
      case LCR:
        this.#lcr = byte;
        this.#polledReader = false;
        this.#present();
        break;
      case MCR:
        this.#modem.control = byte & MCR_MASK;
        this.#present();
        this.#drive();
        break;
      case SCRATCH:
        this.#scratch = byte;
        break;
    }
  }

  // Receiver

  /** Whether the guest looks for input from the line and lets it in. */
  #listening(): boolean {
    return (this.#ier & IER_RECEIVED) !== 0 || this.#polledReader;
  }

  /** Fills the FIFO from the line, or gives it back when the guest does not look for input. */
  #present(): void {
    if (!this.#listening() || this.#modem.loopback) this.#receiver.hide();
    // A guest that polls takes bytes only when it has use for them.
    else if (this.#modem.readyToReceive) this.#receiver.fill(this.#depth(), (this.#ier & IER_RECEIVED) !== 0);
  }

  #receive(): number {
    const byte = this.#receiver.take();
    // The rest of a burst is there at once, which spares the guest an interrupt for each 16 bytes of it.
    if (this.#receiver.held === 0) this.#present();
    this.#drive();
    return byte;
  }

  #depth(): number {
    return this.#fifosEnabled() ? FIFO_DEPTH : 1;
  }

  #triggerLevel(): number {
    return this.#fifosEnabled() ? TRIGGER_LEVELS[this.#fcr >>> 6]! : 1;
  }

  // Transmitter

  #holdingEmpty(): boolean {
    return this.#outgoing.room >= FIFO_DEPTH;
  }

  #transmit(byte: number): void {
    if (this.#modem.loopback) {
      this.#receiver.loopBack(byte, this.#depth());
    } else {
      if (!this.#outgoing.put(byte)) this.#errors.report(this.name, 'wrote to a transmitter that was not empty');
      if (!this.#holdingEmpty()) this.#outgoing.flush();
    }
    this.#transmitterEmptyPending = this.#holdingEmpty();
    this.#drive();
  }

  // Registers with effects

  #readLineStatus(): number {
    if (!this.#polledReader) {
      this.#statusReads += 1;
      if (this.#statusReads === STATUS_READS_OF_A_POLLED_READER) {
        this.#statusReads = 0;
        this.#polledReader = true;
        this.#present();
      }
    }
    let status = this.#holdingEmpty() ? LSR_HOLDING_EMPTY | LSR_TRANSMITTER_EMPTY : 0;
    if (this.#receiver.held > 0) status |= LSR_DATA_READY;
    if (this.#receiver.overrun) {
      status |= LSR_OVERRUN;
      this.#receiver.overrun = false;
      this.#drive();
    }
    return status;
  }

  #writeInterruptEnable(enabled: number): void {
    const raised = enabled & ~this.#ier;
    this.#ier = enabled;
    // Enabling the interrupt while the register is empty raises it; drivers start transmitting that way.
    if ((raised & IER_TRANSMITTER_EMPTY) !== 0) this.#transmitterEmptyPending = this.#holdingEmpty();
    this.#polledReader = false;
    this.#present();
    this.#drive();
  }

  #writeFifoControl(value: number): void {
    const toggled = ((value ^ this.#fcr) & FCR_ENABLE) !== 0;
    if (toggled || (value & FCR_CLEAR_RECEIVER) !== 0) this.#receiver.clear();
    if (toggled || (value & FCR_CLEAR_TRANSMITTER) !== 0) this.#transmitterEmptyPending = this.#holdingEmpty();
    // The other bits count only while the FIFOs are on.
    this.#fcr = (value & FCR_ENABLE) !== 0 ? value & FCR_MASK : 0;
    this.#polledReader = false;
    this.#present();
    this.#drive();
  }

  #divisorAddressed(): boolean {
    return (this.#lcr & LCR_DLAB) !== 0;
  }

  #fifosEnabled(): boolean {
    return (this.#fcr & FCR_ENABLE) !== 0;
  }

  // Interrupt

  /** The interrupt of the highest priority, as IIR bits 3:0. */
  #cause(): number {
    const enabled = this.#ier;
    if (this.#receiver.overrun && (enabled & IER_LINE_STATUS) !== 0) return IIR_LINE_STATUS;
    if ((enabled & IER_RECEIVED) !== 0) {
      if (this.#receiver.held >= this.#triggerLevel()) return IIR_RECEIVED;
      if (this.#receiver.timeoutPending) return IIR_TIMEOUT;
    }
    if (this.#transmitterEmptyPending && (enabled & IER_TRANSMITTER_EMPTY) !== 0) return IIR_TRANSMITTER_EMPTY;
    if (this.#modem.changed && (enabled & IER_MODEM_STATUS) !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #drive(): void {
    this.#irq.set(this.#cause() !== IIR_NONE);
  }
}
