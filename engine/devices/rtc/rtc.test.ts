import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import { TestLine, TestWallClock } from '../../../test/contract/parts.ts';
import { Rtc } from './device.ts';
import {
  ALARM_HIGH,
  ALARM_LOW,
  ALARM_STATUS,
  CLEAR_ALARM,
  CLEAR_INTERRUPT,
  IRQ_ENABLED,
  TIME_HIGH,
  TIME_LOW,
} from './registers.ts';
import { rtcSection } from './state.ts';

const NOW = 1_790_000_000_123_456_789n;
const SECOND = 1_000_000_000n;

const parts = (now = NOW) => ({ clock: new TestWallClock(now), irq: new TestLine() });

deviceContract('rtc', {
  section: rtcSection,
  window: 0x1000,
  make: () => new Rtc(parts()),
  restore: state => Rtc.restore(parts(), state),
  disturb(rtc) {
    rtc.write(TIME_HIGH, 4, 0x12345678);
    rtc.read(TIME_LOW, 4);
    setAlarm(rtc, NOW);
    rtc.write(IRQ_ENABLED, 4, 1);
  },
  offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32],
});

function time(rtc: Rtc): bigint {
  const low = BigInt(rtc.read(TIME_LOW, 4));
  return (BigInt(rtc.read(TIME_HIGH, 4)) << 32n) | low;
}

function setAlarm(rtc: Rtc, at: bigint): void {
  rtc.write(ALARM_HIGH, 4, Number(at >> 32n));
  rtc.write(ALARM_LOW, 4, Number(at & 0xffffffffn));
}

describe('rtc', () => {
  it('shows the time of day in nanoseconds', () => {
    const around = parts();
    const rtc = new Rtc(around);
    expect(time(rtc)).toBe(NOW);
    around.clock.now += 5n * SECOND;
    expect(time(rtc)).toBe(NOW + 5n * SECOND);
  });

  it('latches the high word when the low one is read', () => {
    const around = parts(0x1_ffff_ffffn);
    const rtc = new Rtc(around);
    expect(rtc.read(TIME_LOW, 4)).toBe(0xffffffff);
    around.clock.now += 1n;
    expect(rtc.read(TIME_HIGH, 4)).toBe(1);
    expect(rtc.read(TIME_LOW, 4)).toBe(0);
    expect(rtc.read(TIME_HIGH, 4)).toBe(2);
  });

  it('can be set, high word first as Linux does, and goes on from there', () => {
    const around = parts();
    const rtc = new Rtc(around);
    const set = 946_684_800n * SECOND;
    rtc.write(TIME_HIGH, 4, Number(set >> 32n));
    rtc.write(TIME_LOW, 4, Number(set & 0xffffffffn));
    expect(time(rtc)).toBe(set);
    around.clock.now += SECOND;
    expect(time(rtc)).toBe(set + SECOND);
    const elsewhere = parts(around.clock.now + 100n * SECOND);
    expect(time(Rtc.restore(elsewhere, rtc.save()))).toBe(set + 101n * SECOND);
    rtc.reset();
    expect(time(rtc)).toBe(around.clock.now);
  });

  it('interrupts when the alarm is due', () => {
    const around = parts();
    const rtc = new Rtc(around);
    rtc.write(IRQ_ENABLED, 4, 1);
    setAlarm(rtc, NOW + SECOND);
    expect(rtc.read(ALARM_STATUS, 4)).toBe(1);
    expect(rtc.nanosecondsUntilAlarm()).toBe(1e9);
    around.clock.now += SECOND - 1n;
    rtc.update();
    expect(around.irq.level).toBe(false);
    around.clock.now += 1n;
    expect(rtc.nanosecondsUntilAlarm()).toBe(0);
    rtc.update();
    expect(around.irq.level).toBe(true);
    expect(rtc.read(ALARM_STATUS, 4)).toBe(0);
    expect(rtc.nanosecondsUntilAlarm()).toBe(Number.POSITIVE_INFINITY);
    rtc.write(CLEAR_INTERRUPT, 4, 1);
    expect(around.irq.level).toBe(false);
    rtc.update();
    expect(around.irq.rises).toBe(1);
  });

  it('goes off at once for an alarm in the past, and when the time is set past it', () => {
    const around = parts();
    const rtc = new Rtc(around);
    rtc.write(IRQ_ENABLED, 4, 1);
    setAlarm(rtc, NOW - 1n);
    expect(around.irq.level).toBe(true);
    rtc.write(CLEAR_INTERRUPT, 4, 0);
    setAlarm(rtc, NOW + (1n << 40n));
    expect(around.irq.level).toBe(false);
    rtc.write(TIME_HIGH, 4, Number((NOW + (1n << 41n)) >> 32n));
    expect(around.irq.level).toBe(true);
  });

  it('keeps a pending interrupt off the line while it is disabled', () => {
    const around = parts();
    const rtc = new Rtc(around);
    setAlarm(rtc, 1n);
    expect(around.irq.level).toBe(false);
    rtc.write(IRQ_ENABLED, 4, 1);
    expect(around.irq.level).toBe(true);
    rtc.write(IRQ_ENABLED, 4, 0);
    expect(around.irq.level).toBe(false);
  });

  it('has its interrupt low after reset, and shows an alarm as over once its time has come', () => {
    const around = parts();
    const rtc = new Rtc(around);
    rtc.write(IRQ_ENABLED, 4, 1);
    setAlarm(rtc, NOW + 1n);
    around.clock.now += 1n;
    expect(rtc.read(ALARM_STATUS, 4)).toBe(0);
    expect(around.irq.level).toBe(true);
    rtc.reset();
    expect(around.irq.level).toBe(false);
  });

  it('forgets a cleared alarm', () => {
    const around = parts();
    const rtc = new Rtc(around);
    rtc.write(IRQ_ENABLED, 4, 1);
    setAlarm(rtc, NOW + 1n);
    rtc.write(CLEAR_ALARM, 4, 1);
    around.clock.now += SECOND;
    rtc.update();
    expect(around.irq.rises).toBe(0);
    expect(rtc.read(ALARM_STATUS, 4)).toBe(0);
    expect([rtc.read(ALARM_LOW, 4), rtc.read(ALARM_HIGH, 4)]).toEqual([
      Number((NOW + 1n) & 0xffffffffn),
      Number((NOW + 1n) >> 32n),
    ]);
  });
});
