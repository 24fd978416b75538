import { describe, expect, it } from 'vitest';
import type { AccessWidth, MmioDevice, WideDevice, WideValue } from '../device.ts';
import { Bus } from './device.ts';

class Recorder implements MmioDevice {
  readonly name: string;
  readonly calls: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  read(offset: number, width: AccessWidth): number {
    this.calls.push(`read ${offset} ${width}`);
    return offset + 1;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.calls.push(`write ${offset} ${width} ${value}`);
  }

  reset(): void {}
}

class WideRecorder extends Recorder implements WideDevice {
  readWide(offset: number, result: WideValue): void {
    this.calls.push(`read wide ${offset}`);
    result.low = 0xfffffff0;
    result.high = 0xffffffff;
  }

  writeWide(offset: number, low: number, high: number): void {
    this.calls.push(`write wide ${offset} ${low} ${high}`);
  }
}

function sample() {
  const bus = new Bus();
  const first = new Recorder('first');
  const second = new Recorder('second');
  const wide = new WideRecorder('wide');
  // Not in the order of addresses; the first two touch.
  bus.map(0x2000, 0x10, second);
  bus.map(0x1000, 0x1000, first);
  bus.map(0x4000, 0x100, wide);
  return { bus, first, second, wide };
}

describe('bus', () => {
  it('brings each access to its device, with the offset in its window', () => {
    const { bus, first, second } = sample();
    expect(bus.read(0x1000, 4)).toBe(1);
    expect(bus.read(0x1ffc, 4)).toBe(0xffd);
    expect(bus.read(0x2000, 1)).toBe(1);
    expect(bus.write(0x200e, 2, 7)).toBe(true);
    expect(first.calls).toEqual(['read 0 4', 'read 4092 4']);
    expect(second.calls).toEqual(['read 0 1', 'write 14 2 7']);
    expect(bus.devices.map(device => device.name)).toEqual(['first', 'second', 'wide']);
  });

  it('misses in holes, before the first window and after the last, also right after a hit', () => {
    const { bus } = sample();
    for (const address of [0, 0xff8, 0x2010, 0x3ff8, 0x4100, 2 ** 40, 2 ** 52]) {
      bus.read(0x2000, 4);
      expect(bus.read(address, 4)).toBeUndefined();
      expect(bus.write(address, 8, 1, 2)).toBe(false);
    }
    expect(new Bus().read(0, 1)).toBeUndefined();
  });

  it('misses for accesses that are not aligned to their width', () => {
    const { bus, first } = sample();
    expect(bus.read(0x1001, 2)).toBeUndefined();
    expect(bus.read(0x1002, 4)).toBeUndefined();
    expect(bus.write(0x1004, 8, 0)).toBe(false);
    expect(first.calls).toEqual([]);
  });

  it('splits 8 bytes into two words, the low one first', () => {
    const { bus, second } = sample();
    expect(bus.read(0x2008, 8)).toBe(9);
    expect(bus.high).toBe(13);
    expect(bus.write(0x2000, 8, 0xfffffffe, 0xffffffff)).toBe(true);
    expect(second.calls).toEqual(['read 8 4', 'read 12 4', 'write 0 4 4294967294', 'write 4 4 4294967295']);
  });

  it('gives 8 bytes whole to a device that wants them', () => {
    const { bus, wide } = sample();
    expect(bus.read(0x4008, 8)).toBe(0xfffffff0);
    expect(bus.high).toBe(0xffffffff);
    bus.write(0x4010, 8, 1, 2);
    bus.read(0x4000, 4);
    expect(wide.calls).toEqual(['read wide 8', 'write wide 16 1 2', 'read 0 4']);
  });

  it('refuses windows that overlap or are malformed', () => {
    const { bus, first } = sample();
    const attempts: [number, number][] = [
      [0x1ff8, 0x10],
      [0x800, 0x1000],
      [0x1100, 8],
      [0, 0x10000],
      [0x5000, 0],
      [0x5004, 8],
      [0x5000, 12],
      [-8, 8],
      [2 ** 53, 8],
    ];
    for (const [base, size] of attempts) expect(() => bus.map(base, size, first)).toThrow(/malformed or overlaps/);
    bus.map(0x3000, 0x1000, first);
    bus.map(0x2010, 8, first);
    bus.map(0, 8, first);
    expect([0, 0x2010, 0x3000].map(address => bus.read(address, 4))).toEqual([1, 1, 1]);
  });
});
