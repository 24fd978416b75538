import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import { TestPins, TestTime } from '../../../test/contract/parts.ts';
import { Bus } from '../bus/device.ts';
import { MSIP, MTIP } from '../hart-pins.ts';
import { Clint } from './device.ts';
import { MTIME, MTIMECMP_BASE } from './registers.ts';
import { clintSection } from './state.ts';

function parts(harts = 2, now = 1000) {
  return { time: new TestTime(now), harts: Array.from({ length: harts }, () => new TestPins()) };
}

deviceContract('clint', {
  section: clintSection,
  window: 0x10000,
  make: () => new Clint(parts()),
  restore: state => Clint.restore(parts(), state),
  disturb(clint) {
    clint.write(4, 4, 1);
    clint.writeWide(MTIMECMP_BASE, 0x89abcdef, 0x01234567);
    clint.writeWide(MTIME, 0x12345678, 9);
  },
  offsets: [0, 4, 8, 0x4000, 0x4004, 0x4008, 0x400c, 0x4010, MTIME, MTIME + 4, 0xbff0, 0xbffe, 0xfffc],
});

describe('clint', () => {
  it('drives the software interrupt of each hart from bit 0', () => {
    const around = parts();
    const clint = new Clint(around);
    clint.write(4, 4, 0xffffffff);
    expect(around.harts.map(pins => pins.has(MSIP))).toEqual([false, true]);
    expect(clint.read(4, 4)).toBe(1);
    clint.write(4, 4, 0xfffffffe);
    expect(around.harts[1]!.mip).toBe(0);
    clint.write(8, 4, 1);
    expect(clint.read(8, 4)).toBe(0);
  });

  it('counts from 0 at reset with the ticks of its source', () => {
    const around = parts(1, 5_000_000_000);
    const clint = new Clint(around);
    expect(clint.mtime).toBe(0);
    around.time.now += 2 ** 33 + 7.9;
    expect(clint.mtime).toBe(2 ** 33 + 7);
    expect([clint.read(MTIME, 4), clint.read(MTIME + 4, 4)]).toEqual([7, 2]);
    clint.reset();
    expect(clint.mtime).toBe(0);
  });

  it('raises the timer interrupt when mtime reaches mtimecmp, until mtimecmp is moved on', () => {
    const around = parts();
    const [first, second] = around.harts as [TestPins, TestPins];
    const clint = new Clint(around);
    clint.writeWide(MTIMECMP_BASE, 500, 0);
    around.time.now += 499;
    clint.update();
    expect(first.has(MTIP)).toBe(false);
    around.time.now += 1;
    clint.update();
    expect([first.has(MTIP), second.has(MTIP)]).toEqual([true, false]);
    clint.writeWide(MTIMECMP_BASE, 501, 0);
    expect(first.has(MTIP)).toBe(false);
    clint.writeWide(MTIMECMP_BASE, 100, 0);
    expect(first.has(MTIP)).toBe(true);
  });

  it('says how long until the next timer of any hart', () => {
    const around = parts();
    const clint = new Clint(around);
    expect(clint.ticksUntilTimer()).toBe(Number.POSITIVE_INFINITY);
    clint.writeWide(MTIMECMP_BASE, 500, 0);
    clint.writeWide(MTIMECMP_BASE + 8, 300, 0);
    expect(clint.ticksUntilTimer()).toBe(300);
    around.time.now += 301;
    expect(clint.ticksUntilTimer()).toBe(0);
    clint.update();
    expect(clint.ticksUntilTimer()).toBe(199);
    clint.writeWide(MTIMECMP_BASE, 0xffffffff, 0xffffffff);
    expect(clint.ticksUntilTimer()).toBe(Number.POSITIVE_INFINITY);
  });

  it('keeps all bits of mtimecmp, in halves and whole', () => {
    const clint = new Clint(parts());
    const bus = new Bus();
    bus.map(0x2000000, 0x10000, clint);
    expect(bus.read(0x2004000, 8)).toBe(0xffffffff);
    expect(bus.high).toBe(0xffffffff);
    bus.write(0x2004008, 8, 0xfffffffd, 0xfffffffe);
    expect([clint.read(0x4008, 4), clint.read(0x400c, 4)]).toEqual([0xfffffffd, 0xfffffffe]);
    clint.write(0x400c, 4, 1);
    expect(bus.read(0x2004008, 8)).toBe(0xfffffffd);
    expect(bus.high).toBe(1);
  });

  it('moves a timer on without a false interrupt in between', () => {
    const around = parts();
    const pins = around.harts[1]!;
    const clint = new Clint(around);
    const levels: boolean[] = [];
    pins.set = (_, level) => levels.push(level);
    around.time.now += 2 ** 32 + 100;
    clint.writeWide(MTIMECMP_BASE + 8, 200, 1);
    clint.writeWide(MTIMECMP_BASE + 8, 50, 2);
    expect(levels).toEqual([]);
    clint.write(MTIMECMP_BASE + 12, 4, 1);
    expect(levels).toEqual([true]);
    clint.write(MTIMECMP_BASE + 8, 4, 0xffffffff);
    expect(levels).toEqual([true, false]);
  });

  it('compares anew when the guest sets mtime', () => {
    const around = parts();
    const clint = new Clint(around);
    clint.write(MTIMECMP_BASE + 4, 4, 0);
    clint.write(MTIMECMP_BASE, 4, 1000);
    clint.writeWide(MTIME, 1000, 0);
    expect(around.harts[0]!.has(MTIP)).toBe(true);
    clint.writeWide(MTIME, 999, 0);
    expect(around.harts[0]!.has(MTIP)).toBe(false);
    clint.reset();
    expect(around.harts[0]!.mip).toBe(0);
  });

  it('lets the guest set mtime, whole and in halves, and goes on from there', () => {
    const around = parts(1);
    const clint = new Clint(around);
    clint.writeWide(MTIMECMP_BASE, 0, 8);
    clint.writeWide(MTIME, 5, 7);
    expect(clint.mtime).toBe(7 * 2 ** 32 + 5);
    expect(around.harts[0]!.has(MTIP)).toBe(false);
    around.time.now += 10;
    expect(clint.mtime).toBe(7 * 2 ** 32 + 15);
    clint.write(MTIME + 4, 4, 8);
    expect(around.harts[0]!.has(MTIP)).toBe(true);
    clint.write(MTIME, 4, 3);
    expect(clint.mtime).toBe(8 * 2 ** 32 + 3);
    clint.writeWide(MTIME, 1, 0);
    expect(clint.mtime).toBe(1);
    around.time.now += 1;
    expect(clint.mtime).toBe(2);
  });

  it('keeps 53 bits of mtime exactly and wraps', () => {
    const around = parts(1, 2 ** 52 + 1);
    const clint = new Clint(around);
    clint.writeWide(MTIME, 0xffffffff, 0xffffffff);
    expect(clint.mtime).toBe(2 ** 53 - 1);
    around.time.now += 1;
    expect(clint.mtime).toBe(0);
  });

  it('goes on after a restore from the time saved, whatever its new source shows', () => {
    const around = parts(1, 700);
    const clint = new Clint(around);
    clint.writeWide(MTIMECMP_BASE, 50, 0);
    around.time.now += 40;
    const state = clint.save();
    const elsewhere = parts(1, 99);
    const restored = Clint.restore(elsewhere, state);
    expect(restored.mtime).toBe(40);
    expect(restored.ticksUntilTimer()).toBe(10);
    elsewhere.time.now += 10;
    restored.update();
    expect(elsewhere.harts[0]!.has(MTIP)).toBe(true);
    const again = parts(1, 1);
    Clint.restore(again, restored.save());
    expect(again.harts[0]!.has(MTIP)).toBe(true);
  });

  it('refuses the state of another number of harts', () => {
    expect(() => Clint.restore(parts(1), new Clint(parts(2)).save())).toThrow(/harts/);
  });
});
