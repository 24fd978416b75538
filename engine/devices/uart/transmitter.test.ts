import { describe, expect, it } from 'vitest';
import { BOTH_EMPTY, Driver, EMPTY, FCR, FIFOS, NONE } from '../../../test/devices/uart-driver.ts';
import {
  DATA,
  FCR_CLEAR_TRANSMITTER,
  FCR_ENABLE,
  IER,
  IER_TRANSMITTER_EMPTY,
  IIR_FCR,
  LSR,
  LSR_HOLDING_EMPTY,
  LSR_TRANSMITTER_EMPTY,
} from './registers.ts';
import { OUTGOING_CAPACITY } from './state.ts';

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
