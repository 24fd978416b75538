import { describe, expect, it } from 'vitest';
import { BOTH_EMPTY, Driver, FCR, FIFOS, NONE, RECEIVED, TIMEOUT } from '../../../test/devices/uart-driver.ts';
import {
  DATA,
  FCR_CLEAR_RECEIVER,
  FCR_ENABLE,
  IER,
  IER_RECEIVED,
  IIR_FCR,
  LCR,
  LSR,
  LSR_DATA_READY,
  LSR_OVERRUN,
  MCR,
  MCR_DTR,
  MCR_OUT2,
  MCR_RTS,
  SCRATCH,
} from './registers.ts';
import { MOST_CREDIT } from './state.ts';

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
