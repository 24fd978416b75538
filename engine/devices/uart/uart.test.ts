import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import { TestErrors, TestLine, TestPort } from '../../../test/contract/parts.ts';
import { Driver, EMPTY, FCR, FIFOS, LINE, MODEM, NONE, RECEIVED } from '../../../test/devices/uart-driver.ts';
import { Uart } from './device.ts';
import {
  DATA,
  FCR_CLEAR_RECEIVER,
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
  LSR_OVERRUN,
  MCR,
  MCR_DTR,
  MCR_LOOP,
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MSR,
  SCRATCH,
} from './registers.ts';
import { MOST_CREDIT, uartSection } from './state.ts';

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
