import { refuseState, type Saves } from '../../state/section.ts';
import type { ConsolePort } from '../console-port.ts';
import type { AccessWidth, GuestErrors, IrqLine, MmioDevice } from '../device.ts';
import { Incoming } from './incoming.ts';
import { Outgoing } from './outgoing.ts';
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
  MCR_DTR,
  MCR_LOOP,
  MCR_MASK,
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MSR,
  MSR_CTS,
  MSR_DCD,
  MSR_DELTA_CTS,
  MSR_DELTA_DCD,
  MSR_DELTA_DSR,
  MSR_DELTAS,
  MSR_DSR,
  MSR_RI,
  MSR_TRAILING_RI,
  SCRATCH,
  TRIGGER_LEVELS,
} from './registers.ts';
import { INCOMING_CAPACITY, OUTGOING_CAPACITY, type UartState, uartSection } from './state.ts';

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
 * - Input enters the receive FIFO only when there is room, so the line never overruns it, and not while the guest
 *   holds RTS low after having raised it once (a guest that never touches MCR is not asked for flow control).
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
  readonly #incoming: Incoming;
  readonly #outgoing: Outgoing;
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #scratch = 0;
  #divisor = DEFAULT_DIVISOR;
  #overrun = false;
  #modemDeltas = 0;
  #transmitterEmptyPending = false;
  #timeoutPending = false;
  #rtsUsed = false;
  #polledReader = false;
  #statusReads = 0;
  #loopedBack: number[] = [];
  #presented = 0;

  constructor(parts: UartParts) {
    this.#irq = parts.irq;
    this.#errors = parts.errors;
    this.#incoming = new Incoming(parts.port, INCOMING_CAPACITY);
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
    if (state.statusReads > STATUS_READS_OF_A_POLLED_READER) refuseState(uartSection, 'statusReads', 'is too large');
    if (state.presented > state.incoming.length || state.presented + state.loopedBack.length > FIFO_DEPTH) {
      refuseState(uartSection, 'presented', 'is more than the FIFO holds');
    }
    const uart = new Uart(parts);
    uart.#ier = state.ier;
    uart.#fcr = state.fcr;
    uart.#lcr = state.lcr;
    uart.#mcr = state.mcr;
    uart.#scratch = state.scratch;
    uart.#divisor = state.divisor;
    uart.#overrun = state.overrun;
    uart.#modemDeltas = state.modemDeltas;
    uart.#transmitterEmptyPending = state.transmitterEmptyPending;
    uart.#timeoutPending = state.timeoutPending;
    uart.#rtsUsed = state.rtsUsed;
    uart.#polledReader = state.polledReader;
    uart.#statusReads = state.statusReads;
    uart.#loopedBack = [...state.loopedBack];
    uart.#presented = state.presented;
    uart.#incoming.restore(state.incoming);
    uart.#outgoing.restore(state.outgoing);
    uart.#drive();
    return uart;
  }

  save(): UartState {
    return {
      ier: this.#ier,
      fcr: this.#fcr,
      lcr: this.#lcr,
      mcr: this.#mcr,
      scratch: this.#scratch,
      divisor: this.#divisor,
      overrun: this.#overrun,
      modemDeltas: this.#modemDeltas,
      transmitterEmptyPending: this.#transmitterEmptyPending,
      timeoutPending: this.#timeoutPending,
      rtsUsed: this.#rtsUsed,
      polledReader: this.#polledReader,
      statusReads: this.#statusReads,
      loopedBack: Uint8Array.from(this.#loopedBack),
      incoming: this.#incoming.save(),
      presented: this.#presented,
      outgoing: this.#outgoing.save(),
    };
  }

  reset(): void {
    this.#outgoing.flush();
    this.#ier = 0;
    this.#fcr = 0;
    this.#lcr = 0;
    this.#mcr = 0;
    this.#scratch = 0;
    this.#divisor = DEFAULT_DIVISOR;
    this.#overrun = false;
    this.#modemDeltas = 0;
    this.#transmitterEmptyPending = false;
    this.#timeoutPending = false;
    this.#rtsUsed = false;
    this.#polledReader = false;
    this.#statusReads = 0;
    this.#loopedBack = [];
    this.#presented = 0;
    this.#drive();
  }

  /** Bytes written by the guest that the port has not taken yet. */
  get pendingOutput(): number {
    return this.#outgoing.length;
  }

  /** Moves bytes between line and port; to be called regularly, before sleeping, and when the port has changed. */
  poll(): void {
    const wasEmpty = this.#holdingEmpty();
    this.#outgoing.flush();
    if (!wasEmpty && this.#holdingEmpty()) this.#transmitterEmptyPending = true;
    this.#present();
    const held = this.#held();
    if (held > 0 && held < this.#triggerLevel() && this.#fifosEnabled()) this.#timeoutPending = true;
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
        return this.#mcr;
      case MSR: {
        const status = this.#modemLines() | this.#modemDeltas;
        this.#modemDeltas = 0;
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
        this.#drive();
        break;
      case MCR:
        this.#writeModemControl(byte & MCR_MASK);
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
    if (!this.#listening() || (this.#mcr & MCR_LOOP) !== 0) {
      this.#presented = 0;
      if (this.#loopedBack.length === 0) this.#timeoutPending = false;
      return;
    }
    if (this.#rtsUsed && (this.#mcr & MCR_RTS) === 0) return;
    const room = (this.#fifosEnabled() ? FIFO_DEPTH : 1) - this.#loopedBack.length;
    if (this.#presented >= room) return;
    this.#incoming.fetch(room);
    this.#presented = Math.min(room, this.#incoming.length);
  }

  #receive(): number {
    this.#timeoutPending = false;
    let byte = 0;
    if (this.#loopedBack.length > 0) {
      byte = this.#loopedBack.shift()!;
    } else if (this.#presented > 0) {
      byte = this.#incoming.take();
      this.#presented -= 1;
      // The rest of a burst is there at once, which spares the guest an interrupt for each 16 bytes of it.
      if (this.#presented === 0) this.#present();
    }
    this.#drive();
    return byte;
  }

  #held(): number {
    return this.#presented + this.#loopedBack.length;
  }

  #triggerLevel(): number {
    return this.#fifosEnabled() ? TRIGGER_LEVELS[this.#fcr >>> 6]! : 1;
  }

  // Transmitter

  #holdingEmpty(): boolean {
    return this.#outgoing.room >= FIFO_DEPTH;
  }

  #transmit(byte: number): void {
    if ((this.#mcr & MCR_LOOP) !== 0) {
      this.#loopBack(byte);
    } else {
      if (!this.#outgoing.put(byte)) this.#errors.report(this.name, 'wrote to a transmitter that was not empty');
      if (!this.#holdingEmpty()) this.#outgoing.flush();
    }
    this.#transmitterEmptyPending = this.#holdingEmpty();
    this.#drive();
  }

  #loopBack(byte: number): void {
    if (this.#loopedBack.length < (this.#fifosEnabled() ? FIFO_DEPTH : 1)) this.#loopedBack.push(byte);
    else this.#overrun = true;
  }

  // Registers with effects

  #readLineStatus(): number {
    if (!this.#polledReader && this.#statusReads < STATUS_READS_OF_A_POLLED_READER) {
      this.#statusReads += 1;
      if (this.#statusReads === STATUS_READS_OF_A_POLLED_READER) {
        this.#polledReader = true;
        this.#present();
      }
    }
    let status = this.#holdingEmpty() ? LSR_HOLDING_EMPTY | LSR_TRANSMITTER_EMPTY : 0;
    if (this.#held() > 0) status |= LSR_DATA_READY;
    if (this.#overrun) {
      status |= LSR_OVERRUN;
      this.#overrun = false;
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
    if (toggled || (value & FCR_CLEAR_RECEIVER) !== 0) {
      this.#loopedBack = [];
      this.#presented = 0;
      this.#timeoutPending = false;
    }
    if (toggled || (value & FCR_CLEAR_TRANSMITTER) !== 0) this.#transmitterEmptyPending = this.#holdingEmpty();
    // The other bits count only while the FIFOs are on.
    this.#fcr = (value & FCR_ENABLE) !== 0 ? value & FCR_MASK : 0;
    this.#polledReader = false;
    this.#present();
    this.#drive();
  }

  #writeModemControl(value: number): void {
    const before = this.#modemLines();
    this.#mcr = value;
    if ((value & MCR_RTS) !== 0) this.#rtsUsed = true;
    const changed = before ^ this.#modemLines();
    if ((changed & MSR_CTS) !== 0) this.#modemDeltas |= MSR_DELTA_CTS;
    if ((changed & MSR_DSR) !== 0) this.#modemDeltas |= MSR_DELTA_DSR;
    if ((changed & before & MSR_RI) !== 0) this.#modemDeltas |= MSR_TRAILING_RI;
    if ((changed & MSR_DCD) !== 0) this.#modemDeltas |= MSR_DELTA_DCD;
    this.#present();
    this.#drive();
  }

  /** MSR bits 7:4: a peer that is always there, or in loopback the guest's own outputs. */
  #modemLines(): number {
    if ((this.#mcr & MCR_LOOP) === 0) return MSR_DCD | MSR_DSR | MSR_CTS;
    let lines = 0;
    if ((this.#mcr & MCR_DTR) !== 0) lines |= MSR_DSR;
    if ((this.#mcr & MCR_RTS) !== 0) lines |= MSR_CTS;
    if ((this.#mcr & MCR_OUT1) !== 0) lines |= MSR_RI;
    if ((this.#mcr & MCR_OUT2) !== 0) lines |= MSR_DCD;
    return lines;
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
    if (this.#overrun && (enabled & IER_LINE_STATUS) !== 0) return IIR_LINE_STATUS;
    if ((enabled & IER_RECEIVED) !== 0) {
      if (this.#held() >= this.#triggerLevel()) return IIR_RECEIVED;
      if (this.#timeoutPending) return IIR_TIMEOUT;
    }
    if (this.#transmitterEmptyPending && (enabled & IER_TRANSMITTER_EMPTY) !== 0) return IIR_TRANSMITTER_EMPTY;
    if (this.#modemDeltas !== 0 && (enabled & IER_MODEM_STATUS) !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #drive(): void {
    this.#irq.set(this.#cause() !== IIR_NONE);
  }
}
