import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import { TestErrors, TestLine, TestPort } from '../../../test/contract/parts.ts';
import { Uart } from './device.ts';
import {
  DATA,
  FCR_CLEAR_RECEIVER,
  FCR_CLEAR_TRANSMITTER,
  FCR_ENABLE,
  IER,
  IER_LINE_STATUS,
  IER_MODEM_STATUS,
  IER_RECEIVED,
  IER_TRANSMITTER_EMPTY,
  IIR_FCR,
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
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MSR,
  SCRATCH,
} from './registers.ts';
import { MOST_CREDIT, OUTGOING_CAPACITY, uartSection } from './state.ts';

// What IIR reads with the FIFOs on.
const NONE = 0xc1;
const RECEIVED = 0xc4;
const TIMEOUT = 0xcc;
const EMPTY = 0xc2;
const LINE = 0xc6;
const MODEM = 0xc0;
const BOTH_EMPTY = LSR_HOLDING_EMPTY | LSR_TRANSMITTER_EMPTY;
/** FIFOs on, trigger level 8: what Linux uses for a 16550A. */
const FIFOS = FCR_ENABLE | 0x80;

class Driver {
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

const FCR = IIR_FCR;

function busy() {
  const port = new TestPort();
  port.type('x'.repeat(3000));
  port.limit = 3000;
  return { irq: new TestLine(), port, errors: new TestErrors() };
}

deviceContract('uart', {
  section: uartSection,
  window: 0x100,
  make: () => new Uart(busy()),
  restore: state => Uart.restore(busy(), state),
  disturb(uart) {
    uart.write(SCRATCH, 1, 0x5a);
    uart.write(LCR, 1, LCR_DLAB);
    uart.write(DATA, 1, 0x12);
    uart.write(IER, 1, 0x34);
    uart.write(LCR, 1, 3);
    uart.write(IIR_FCR, 1, FIFOS);
    uart.write(MCR, 1, MCR_LOOP | MCR_RTS);
    for (let i = 0; i < 17; i += 1) uart.write(DATA, 1, i);
    uart.write(MCR, 1, MCR_RTS);
    for (let i = 0; i < 10; i += 1) uart.read(DATA, 1);
    uart.write(IER, 1, 0x0f);
    uart.poll();
    for (let i = 0; i < 3500; i += 1) uart.write(DATA, 1, i & 0xff);
    uart.read(LSR, 1);
  },
  survivesReset: ['incoming', 'outgoing'],
  offsets: [0, 1, 2, 3, 4, 5, 6, 7, 8],
});

describe('uart registers', () => {
  it('are as after power-on', () => {
    const d = new Driver();
    expect([IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH].map(r => d.get(r))).toEqual([0, 1, 0, 0, 0x60, 0xb0, 0]);
    expect(d.irq.level).toBe(false);
  });

  it('hold what hardware holds', () => {
    const d = new Driver();
    for (const register of [IER, LCR, MCR, SCRATCH]) {
      d.put(register, 0xff);
      const expected = { [IER]: 0x0f, [LCR]: 0xff, [MCR]: 0x1f, [SCRATCH]: 0xff }[register];
      if (register === LCR) d.put(LCR, 0x7f);
      expect(d.get(register)).toBe(register === LCR ? 0x7f : expected);
    }
    d.put(LSR, 0xff);
    d.put(MSR, 0xff);
    d.put(MCR, 0);
    expect(d.get(LSR)).toBe(0x60);
  });

  it('put the divisor over data and IER while DLAB is set', () => {
    const d = new Driver();
    d.put(IER, 5);
    d.put(LCR, LCR_DLAB | 3);
    d.put(DATA, 0xe8);
    d.put(IER, 0x03);
    expect([d.get(DATA), d.get(IER)]).toEqual([0xe8, 0x03]);
    d.put(LCR, 3);
    expect(d.get(IER)).toBe(5);
    d.uart.poll();
    expect(d.port.output).toEqual([]);
  });

  it('are taken for a 16550A by the probes of Linux', () => {
    const d = new Driver();
    const ier = d.get(IER);
    d.put(IER, 0);
    expect(d.get(IER) & 0x0f).toBe(0);
    d.put(IER, 0x0f);
    expect(d.get(IER) & 0x0f).toBe(0x0f);
    d.put(IER, ier);
    // Loopback: RTS and OUT2 come back as CTS and DCD.
    const mcr = d.get(MCR);
    d.put(MCR, MCR_LOOP | MCR_OUT2 | MCR_RTS);
    expect(d.get(MSR) & 0xf0).toBe(0x90);
    d.put(MCR, mcr);
    // Extended registers of other chips.
    d.put(LCR, 0xbf);
    expect(d.get(2)).not.toBe(0);
    d.put(LCR, 0);
    d.put(FCR, FCR_ENABLE);
    expect(d.get(IIR_FCR) >>> 6).toBe(3);
    d.put(LCR, LCR_DLAB);
    expect(d.get(2)).not.toBe(0);
    // 64-byte FIFOs of a 16750 would show in IIR bit 5.
    d.put(FCR, FCR_ENABLE | 0x20);
    expect(d.get(IIR_FCR) >>> 5).toBe(6);
    d.put(LCR, 0);
    // Interrupt enable bit 6 of an XScale.
    d.put(IER, 0x40);
    expect(d.get(IER)).toBe(0);
    d.put(FCR, 0);
    expect(d.get(IIR_FCR)).toBe(1);
  });

  it('read as 0 and ignore writes beyond the eighth', () => {
    const d = new Driver();
    const before = d.uart.save();
    for (const offset of [8, 9, 0x80, 0xff]) {
      d.put(offset, 0xff);
      expect(d.get(offset)).toBe(0);
    }
    expect(d.uart.save()).toEqual(before);
  });
});

describe('uart transmitter', () => {
  it('brings bytes to the port in order, in bulk, at the latest with the next poll', () => {
    const d = new Driver();
    d.print('hello, world');
    expect(d.uart.pendingOutput).toBe(12);
    d.uart.poll();
    expect(d.port.text).toBe('hello, world');
    expect(d.uart.pendingOutput).toBe(0);
    for (let i = 0; i < 100_000; i += 1) d.put(DATA, i & 0xff);
    d.uart.poll();
    expect(d.port.output.length).toBe(100_012);
    expect(d.port.writes).toBeLessThan(120);
    expect(d.port.output.slice(12).every((byte, i) => byte === (i & 0xff))).toBe(true);
  });

  it('loses nothing of a guest that waits, however slow the port', () => {
    const d = new Driver();
    d.port.limit = 0;
    let written = 0;
    let waits = 0;
    while (written < 20_000) {
      if ((d.get(LSR) & LSR_HOLDING_EMPTY) !== 0) {
        // A FIFO's worth for each look at LSR, as a driver may.
        for (let i = 0; i < 16; i += 1) d.put(DATA, (written + i) & 0xff);
        written += 16;
      } else {
        expect(d.get(LSR) & LSR_TRANSMITTER_EMPTY).toBe(0);
        d.port.limit += 1 + (waits % 50);
        waits += 1;
        d.uart.poll();
      }
    }
    d.port.limit = Number.POSITIVE_INFINITY;
    d.uart.poll();
    expect(waits).toBeGreaterThan(100);
    expect(d.port.output.length).toBe(written);
    expect(d.port.output.every((byte, i) => byte === (i & 0xff))).toBe(true);
    expect(d.errors.reports).toEqual([]);
  });

  it('drops and reports what a guest writes without waiting', () => {
    const d = new Driver();
    d.port.limit = 0;
    for (let i = 0; i < OUTGOING_CAPACITY; i += 1) d.put(DATA, 1);
    expect(d.errors.reports).toEqual([]);
    d.put(DATA, 2);
    d.put(DATA, 2);
    expect(d.errors.reports.length).toBe(2);
    d.port.limit = Number.POSITIVE_INFINITY;
    d.uart.poll();
    expect(d.port.output).toEqual(Array(OUTGOING_CAPACITY).fill(1));
  });

  it('interrupts when enabled while empty; reading IIR clears that, and enabling again raises it again', () => {
    const d = new Driver();
    d.put(FCR, FIFOS);
    d.put(IER, IER_TRANSMITTER_EMPTY);
    expect(d.irq.level).toBe(true);
    expect(d.get(IIR_FCR)).toBe(EMPTY);
    expect(d.irq.level).toBe(false);
    expect(d.get(IIR_FCR)).toBe(NONE);
    d.put(IER, IER_TRANSMITTER_EMPTY);
    expect(d.irq.level).toBe(false);
    d.put(IER, 0);
    d.put(IER, IER_TRANSMITTER_EMPTY);
    expect(d.get(IIR_FCR)).toBe(EMPTY);
    d.put(DATA, 0x41);
    expect(d.get(IIR_FCR)).toBe(EMPTY);
    expect(d.get(IIR_FCR)).toBe(NONE);
  });

  it.each([
    ['the transmit FIFO is cleared', FIFOS | FCR_CLEAR_TRANSMITTER, EMPTY],
    ['the FIFOs are switched off', 0, 0x02],
    ['only the trigger level changes', FCR_ENABLE, NONE],
  ])('after an acknowledged interrupt, when %s', (_, control, cause) => {
    const d = new Driver();
    d.put(FCR, FIFOS);
    d.put(IER, IER_TRANSMITTER_EMPTY);
    d.get(IIR_FCR);
    d.put(FCR, control);
    expect(d.irq.level).toBe((cause & 1) === 0);
    expect(d.get(IIR_FCR)).toBe(cause);
  });

  it('reports empty while exactly one FIFO fits', () => {
    const d = new Driver();
    d.port.limit = 0;
    for (let i = 0; i < OUTGOING_CAPACITY - 16; i += 1) d.put(DATA, 1);
    expect(d.get(LSR)).toBe(BOTH_EMPTY);
    d.put(DATA, 1);
    expect(d.get(LSR)).toBe(0);
  });

  it('interrupts only once there is room again', () => {
    const d = new Driver();
    d.put(FCR, FIFOS);
    d.port.limit = 0;
    while ((d.get(LSR) & LSR_HOLDING_EMPTY) !== 0) d.put(DATA, 0x41);
    d.put(IER, IER_TRANSMITTER_EMPTY);
    d.uart.poll();
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([false, NONE]);
    d.port.limit = 1;
    d.uart.poll();
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([true, EMPTY]);
    expect(d.get(LSR)).toBe(BOTH_EMPTY);
    d.uart.poll();
    expect(d.irq.level).toBe(false);
  });

  it('keeps what was written when the FIFOs are cleared or the machine is reset', () => {
    const d = new Driver();
    d.port.limit = 2;
    d.print('abc');
    d.put(FCR, FCR_ENABLE | FCR_CLEAR_TRANSMITTER);
    d.print('def');
    d.uart.reset();
    expect(d.port.text).toBe('ab');
    d.port.limit = 10;
    d.uart.poll();
    expect(d.port.text).toBe('abcdef');
  });
});

describe('uart receiver', () => {
  it('keeps what was typed before a driver listens', () => {
    const d = new Driver();
    d.port.type('typed early\n');
    d.uart.poll();
    d.startUp();
    d.uart.poll();
    expect(d.irq.level).toBe(true);
    expect(d.drain()).toBe('typed early\n');
  });

  it('keeps what was shown when a driver closes and another opens', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('0123456789abcdefghijklmnopqrstuvwxyz');
    d.uart.poll();
    expect(d.drain(3)).toBe('012');
    d.put(IER, 0);
    expect(d.get(LSR)).toBe(BOTH_EMPTY);
    expect(d.get(DATA)).toBe(0);
    d.startUp();
    expect(d.drain()).toBe('3456789abcdefghijklmnopqrstuvwxyz');
  });

  it('keeps what is in the FIFO when only the FIFO is cleared', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('abc');
    d.uart.poll();
    d.put(FCR, FIFOS | FCR_CLEAR_RECEIVER);
    expect(d.drain()).toBe('abc');
  });

  it('shows input to a guest that polls LSR, from the sixteenth look', () => {
    const d = new Driver();
    d.port.type('ok');
    for (let i = 0; i < 15; i += 1) expect(d.get(LSR)).toBe(BOTH_EMPTY);
    d.get(MCR);
    for (let i = 0; i < 15; i += 1) expect(d.get(LSR)).toBe(BOTH_EMPTY);
    expect(d.get(LSR)).toBe(BOTH_EMPTY | LSR_DATA_READY);
    expect(d.get(DATA)).toBe(0x6f);
    d.put(DATA, 0x21);
    expect(d.ready).toBe(true);
    expect(d.irq.rises).toBe(0);
  });

  it('counts only looks at LSR that follow each other', () => {
    const d = new Driver();
    d.port.type('ok');
    for (let round = 0; round < 10; round += 1) {
      for (let looks = 0; looks < 15; looks += 1) expect(d.ready).toBe(false);
      if (round % 2 === 0) d.put(DATA, 0x2e);
      else d.get(SCRATCH);
    }
    for (let looks = 0; looks < 15; looks += 1) d.get(LSR);
    expect(d.ready).toBe(true);
  });

  it.each([
    ['IER', IER, 0],
    ['LCR', LCR, 3],
    ['FCR', IIR_FCR, FCR_ENABLE],
  ])('no longer takes a guest for one that polls when it writes %s', (_, register, value) => {
    const d = new Driver();
    d.port.type('ok');
    for (let i = 0; i < 16; i += 1) d.get(LSR);
    expect(d.ready).toBe(true);
    d.put(register, value);
    expect(d.ready).toBe(false);
    expect(d.get(DATA)).toBe(0);
    d.put(IER, IER_RECEIVED);
    expect(d.drain()).toBe('ok');
  });

  it('interrupts at the trigger level, and for a rest below it with a timeout', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('12345678');
    d.uart.poll();
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([true, RECEIVED]);
    d.get(DATA);
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([false, NONE]);
    d.uart.poll();
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([true, TIMEOUT]);
    d.get(DATA);
    expect(d.get(IIR_FCR)).toBe(NONE);
    expect(d.drain()).toBe('345678');
    d.uart.poll();
    expect(d.irq.level).toBe(false);
  });

  it.each([
    [0x00, 1],
    [0x40, 4],
    [0x80, 8],
    [0xc0, 14],
  ])('has trigger level %i: %i bytes', (bits, level) => {
    const d = new Driver();
    d.startUp();
    d.put(FCR, FCR_ENABLE | bits);
    d.port.type('x'.repeat(level));
    d.uart.poll();
    expect(d.get(IIR_FCR)).toBe(RECEIVED);
    d.get(DATA);
    expect(d.get(IIR_FCR)).toBe(NONE);
  });

  it('holds one byte while the FIFOs are off', () => {
    const d = new Driver();
    d.put(IER, IER_RECEIVED);
    d.port.type('ab');
    d.uart.poll();
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([true, 0x04]);
    expect(d.uart.save().presented).toBe(1);
    expect(d.drain()).toBe('ab');
    expect([d.irq.level, d.get(IIR_FCR)]).toEqual([false, 0x01]);
  });

  it('takes no more from the port than fits, so that the port can say that it is full', () => {
    const d = new Driver();
    d.port.type('x'.repeat(10_000));
    d.startUp();
    for (let i = 0; i < 100; i += 1) d.uart.poll(true);
    expect(d.port.available).toBeGreaterThan(10_000 - 300);
    expect(d.uart.save().presented).toBe(16);
    expect(d.get(LSR) & LSR_OVERRUN).toBe(0);
  });

  it('lets nothing in while the guest holds RTS low, but never asks a guest that does not use RTS', () => {
    const d = new Driver();
    d.startUp();
    d.put(MCR, MCR_DTR | MCR_OUT2);
    d.port.type('x'.repeat(40));
    d.uart.poll(true);
    expect(d.ready).toBe(false);
    d.put(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    expect(d.ready).toBe(true);
    // Lowered again: what is in the FIFO stays readable, nothing follows.
    d.put(MCR, MCR_DTR);
    expect(d.drain()).toBe('x'.repeat(16));
    d.uart.poll(true);
    expect(d.ready).toBe(false);
    d.put(MCR, MCR_RTS);
    expect(d.drain()).toBe('x'.repeat(24));

    const simple = new Driver();
    simple.put(MCR, MCR_DTR | MCR_OUT2);
    simple.put(IER, IER_RECEIVED);
    simple.port.type('y');
    simple.uart.poll();
    expect(simple.drain()).toBe('y');
  });

  it('sends a burst at once, then paces a guest that does not sleep', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('x'.repeat(50_000));
    d.uart.poll();
    const burst = d.drain().length;
    expect(burst).toBeGreaterThan(MOST_CREDIT - 32);
    expect(burst).toBeLessThanOrEqual(MOST_CREDIT);
    let paced = 0;
    for (let i = 0; i < 1000; i += 1) {
      d.uart.poll();
      paced += d.drain().length;
    }
    expect(paced).toBeGreaterThan(3900);
    expect(paced).toBeLessThanOrEqual(4016);
    d.uart.poll(true);
    expect(d.drain().length).toBeGreaterThan(MOST_CREDIT - 32);
  });

  it('charges each byte once, however the FIFO is filled', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('x'.repeat(300));
    d.uart.poll(true);
    d.drain(200);
    const { credit, presented } = d.uart.save();
    expect(credit).toBe(MOST_CREDIT - 200 - presented);
    d.uart.poll();
    expect(d.uart.save()).toMatchObject({ presented: 16, credit: MOST_CREDIT - 216 + 4 });
  });

  it('does not take a guest that holds RTS low for idle', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('x'.repeat(50_000));
    d.uart.poll();
    d.drain();
    d.put(MCR, MCR_DTR);
    d.uart.poll(true);
    d.put(MCR, MCR_DTR | MCR_RTS);
    expect(d.drain().length).toBeLessThan(32);
  });

  it('does not pace a guest that polls', () => {
    const d = new Driver();
    d.port.type('x'.repeat(50_000));
    for (let i = 0; i < 16; i += 1) d.get(LSR);
    expect(d.drain().length).toBe(50_000);
  });

  it('brings every byte through an interrupt-driven guest with flow control, in order', () => {
    const d = new Driver();
    d.startUp();
    const total = 100_000;
    d.port.input = Array.from({ length: total }, (_, i) => (i * 7) & 0xff);
    let received = 0;
    for (let round = 0; received < total; round += 1) {
      expect(round).toBeLessThan(total);
      d.uart.poll(round % 3 === 0);
      if (round % 5 === 0) d.put(MCR, MCR_DTR | MCR_OUT2 | (round % 10 === 0 ? MCR_RTS : 0));
      // Consoles print by switching all interrupts off for a while.
      const ier = d.get(IER);
      if (round % 7 === 0) d.put(IER, 0);
      d.put(IER, ier);
      for (; d.irq.level && d.get(IIR_FCR) !== NONE; ) {
        for (let most = 100; most > 0 && d.ready; most -= 1) {
          const byte = d.get(DATA);
          if (byte !== ((received * 7) & 0xff)) expect.fail(`byte ${received} is ${byte}`);
          received += 1;
        }
      }
    }
    expect(d.port.available).toBe(0);
  });

  it('asks the port for many bytes at a time', () => {
    const d = new Driver();
    d.port.type('x'.repeat(10_000));
    for (let i = 0; i < 16; i += 1) d.get(LSR);
    d.drain();
    expect(d.port.reads).toBeLessThan(60);
  });
});

describe('uart interrupt priorities', () => {
  it('are line status, received, transmitter empty, modem status', () => {
    const d = new Driver();
    d.put(FCR, FIFOS);
    d.put(MCR, MCR_LOOP);
    for (let i = 0; i < 17; i += 1) d.put(DATA, i);
    d.put(MCR, MCR_LOOP | MCR_RTS);
    d.put(IER, IER_RECEIVED | IER_TRANSMITTER_EMPTY | IER_LINE_STATUS | IER_MODEM_STATUS);
    expect(d.get(IIR_FCR)).toBe(LINE);
    expect(d.get(LSR) & LSR_OVERRUN).toBe(LSR_OVERRUN);
    expect(d.get(LSR) & LSR_OVERRUN).toBe(0);
    expect(d.get(IIR_FCR)).toBe(RECEIVED);
    d.drain();
    expect(d.get(IIR_FCR)).toBe(EMPTY);
    expect(d.get(IIR_FCR)).toBe(MODEM);
    expect(d.irq.level).toBe(true);
    d.get(MSR);
    expect([d.get(IIR_FCR), d.irq.level]).toEqual([NONE, false]);
  });
});

describe('uart loopback', () => {
  it('brings bytes back to the receiver and keeps them from the line', () => {
    const d = new Driver();
    d.put(FCR, FIFOS);
    d.put(MCR, MCR_LOOP);
    d.print('loop');
    expect(d.drain()).toBe('loop');
    d.uart.poll();
    expect(d.port.output).toEqual([]);
  });

  it('disconnects the receiver from the line, which keeps its bytes', () => {
    const d = new Driver();
    d.startUp();
    d.port.type('line');
    d.uart.poll();
    expect(d.ready).toBe(true);
    d.put(MCR, MCR_LOOP | MCR_RTS);
    expect(d.ready).toBe(false);
    d.print('x');
    d.put(MCR, MCR_RTS);
    d.uart.poll();
    expect(d.drain()).toBe('xline');
  });

  it('turns modem outputs into inputs, and notes each change', () => {
    const d = new Driver();
    d.get(MSR);
    d.put(MCR, MCR_LOOP);
    expect(d.get(MSR)).toBe(0x0b);
    d.put(MCR, MCR_LOOP | MCR_DTR | MCR_OUT1);
    expect(d.get(MSR)).toBe(0x62);
    d.put(MCR, MCR_LOOP | MCR_DTR);
    expect(d.get(MSR)).toBe(0x24);
    expect(d.get(MSR)).toBe(0x20);
  });

  it.each([
    ['cleared', FIFOS | FCR_CLEAR_RECEIVER, false],
    ['switched off', 0, false],
    ['given another trigger level', FCR_ENABLE, true],
  ])('forgets looped bytes when the FIFO is cleared or switched, not otherwise: %s', (_, control, kept) => {
    const d = new Driver();
    d.put(FCR, FIFOS);
    d.put(MCR, MCR_LOOP);
    d.print('gone');
    d.put(FCR, control);
    expect(d.ready).toBe(kept);
  });

  it('loses its interrupt when the overrun is read', () => {
    const d = new Driver();
    d.put(IER, IER_LINE_STATUS);
    d.put(MCR, MCR_LOOP);
    d.print('12');
    expect(d.irq.level).toBe(true);
    d.get(LSR);
    expect(d.irq.level).toBe(false);
  });

  it('loses its interrupt when the modem status is read', () => {
    const d = new Driver();
    d.put(IER, IER_MODEM_STATUS);
    d.put(MCR, MCR_LOOP);
    expect(d.irq.level).toBe(true);
    d.get(MSR);
    expect(d.irq.level).toBe(false);
  });
});

describe('uart state', () => {
  it('has its interrupt low after reset', () => {
    const d = new Driver();
    d.put(IER, IER_TRANSMITTER_EMPTY);
    expect(d.irq.level).toBe(true);
    d.uart.reset();
    expect(d.irq.level).toBe(false);
  });

  it('goes on where it was, in both directions', () => {
    const d = new Driver();
    d.startUp();
    d.put(IER, IER_RECEIVED);
    d.port.type('not yet read');
    d.port.limit = 0;
    d.print('not yet shown');
    d.uart.poll();
    const state = d.uart.save();
    const other = new Driver();
    other.uart = Uart.restore(other, state);
    expect(other.irq.level).toBe(true);
    expect(other.drain()).toBe('not yet read');
    other.uart.poll();
    expect(other.port.text).toBe('not yet shown');
    expect(d.drain()).toBe('not yet read');
  });

  it('is refused when registers or FIFOs could not hold it', () => {
    const d = new Driver();
    const state = d.uart.save();
    const damages: object[] = [
      { ier: 0x10 },
      { fcr: 0x02 },
      { mcr: 0x20 },
      { modemDeltas: 0x10 },
      { statusReads: 16 },
      { presented: 1 },
      { credit: MOST_CREDIT + 1 },
      { presented: 9, incoming: new Uint8Array(9), loopedBack: new Uint8Array(8) },
    ];
    for (const damage of damages) expect(() => Uart.restore(d, { ...state, ...damage })).toThrow(/damaged/);
  });
});
