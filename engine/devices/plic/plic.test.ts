import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import { TestPins } from '../../../test/contract/parts.ts';
import { MEIP, SEIP } from '../hart-pins.ts';
import { Plic } from './device.ts';
import {
  CLAIM_COMPLETE,
  CONTEXT_BASE,
  CONTEXT_STRIDE,
  ENABLE_BASE,
  ENABLE_STRIDE,
  PENDING_BASE,
  THRESHOLD,
} from './registers.ts';
import { plicSection } from './state.ts';

const HARTS = 2;
const M0 = 0;
const S0 = 1;
const S1 = 3;

const pinsOfAll = () => Array.from({ length: HARTS }, () => new TestPins());

/** The controller as a driver uses it. */
class Driver {
  readonly harts = pinsOfAll();
  readonly plic = new Plic({ harts: this.harts });

  priority(source: number, priority: number): void {
    this.plic.write(4 * source, 4, priority);
  }

  enable(context: number, ...sources: number[]): void {
    const words = [0, 0, 0];
    for (const source of sources) words[source >>> 5]! |= 1 << (source & 31);
    for (const [index, word] of words.entries()) {
      this.plic.write(ENABLE_BASE + context * ENABLE_STRIDE + 4 * index, 4, word >>> 0);
    }
  }

  threshold(context: number, threshold: number): void {
    this.plic.write(CONTEXT_BASE + context * CONTEXT_STRIDE + THRESHOLD, 4, threshold);
  }

  claim(context: number): number {
    return this.plic.read(CONTEXT_BASE + context * CONTEXT_STRIDE + CLAIM_COMPLETE, 4);
  }

  complete(context: number, source: number): void {
    this.plic.write(CONTEXT_BASE + context * CONTEXT_STRIDE + CLAIM_COMPLETE, 4, source);
  }

  pending(source: number): boolean {
    return (this.plic.read(PENDING_BASE + 4 * (source >>> 5), 4) & (1 << (source & 31))) !== 0;
  }

  interrupted(context: number): boolean {
    return this.harts[context >>> 1]!.has((context & 1) === 0 ? MEIP : SEIP);
  }
}

const contextOffsets = [0, 1, 2, 3, 4].flatMap(context => [
  ENABLE_BASE + context * ENABLE_STRIDE,
  ENABLE_BASE + context * ENABLE_STRIDE + 8,
  CONTEXT_BASE + context * CONTEXT_STRIDE,
  CONTEXT_BASE + context * CONTEXT_STRIDE + 4,
]);

deviceContract('plic', {
  section: plicSection,
  window: 0x600000,
  make: () => new Plic({ harts: pinsOfAll() }),
  restore: state => Plic.restore({ harts: pinsOfAll() }, state),
  disturb(plic) {
    for (const source of [1, 31, 32, 95]) {
      plic.line(source).set(true);
      plic.write(4 * source, 4, 7);
    }
    plic.write(ENABLE_BASE + ENABLE_STRIDE, 4, 0xffffffff);
    plic.write(CONTEXT_BASE, 4, 3);
    plic.read(CONTEXT_BASE + CONTEXT_STRIDE + CLAIM_COMPLETE, 4);
  },
  offsets: [0, 4, 40, 380, 384, PENDING_BASE, PENDING_BASE + 8, PENDING_BASE + 12, ...contextOffsets],
});

describe('plic', () => {
  it('interrupts the enabled context, and no other', () => {
    const driver = new Driver();
    driver.priority(10, 1);
    driver.enable(S0, 10);
    driver.plic.line(10).set(true);
    expect([0, 1, 2, 3].map(context => driver.interrupted(context))).toEqual([false, true, false, false]);
    expect(driver.pending(10)).toBe(true);
    expect(driver.claim(S0)).toBe(10);
    expect(driver.pending(10)).toBe(false);
    expect(driver.interrupted(S0)).toBe(false);
  });

  it('gives the highest priority first, the lowest id among equals', () => {
    const driver = new Driver();
    const sources = [40, 3, 95, 7, 33];
    for (const source of sources) driver.plic.line(source).set(true);
    for (const [source, priority] of [
      [40, 5],
      [3, 2],
      [95, 7],
      [7, 2],
      [33, 5],
    ] as const) {
      driver.priority(source, priority);
    }
    driver.enable(S0, ...sources);
    expect([1, 2, 3, 4, 5, 6].map(() => driver.claim(S0))).toEqual([95, 33, 40, 3, 7, 0]);
  });

  it('keeps a source silent from claim to completion, and repeats it while its line is high', () => {
    const driver = new Driver();
    driver.priority(1, 1);
    driver.enable(S0, 1);
    const line = driver.plic.line(1);
    line.set(true);
    expect(driver.claim(S0)).toBe(1);
    line.set(false);
    line.set(true);
    expect(driver.pending(1)).toBe(false);
    expect(driver.claim(S0)).toBe(0);
    driver.complete(S0, 1);
    expect(driver.interrupted(S0)).toBe(true);
    expect(driver.claim(S0)).toBe(1);
    line.set(false);
    driver.complete(S0, 1);
    expect(driver.pending(1)).toBe(false);
    expect(driver.interrupted(S0)).toBe(false);
  });

  it('keeps a source pending whose line falls before it is claimed', () => {
    const driver = new Driver();
    driver.priority(2, 1);
    const line = driver.plic.line(2);
    line.set(true);
    line.set(false);
    expect(driver.pending(2)).toBe(true);
    driver.enable(M0, 2);
    expect(driver.interrupted(M0)).toBe(true);
    expect(driver.claim(M0)).toBe(2);
    driver.complete(M0, 2);
    expect(driver.interrupted(M0)).toBe(false);
  });

  it('interrupts above the threshold only, but claims regardless of it', () => {
    const driver = new Driver();
    driver.priority(5, 3);
    driver.enable(S0, 5);
    driver.threshold(S0, 3);
    driver.plic.line(5).set(true);
    expect(driver.interrupted(S0)).toBe(false);
    driver.threshold(S0, 2);
    expect(driver.interrupted(S0)).toBe(true);
    driver.threshold(S0, 7);
    expect(driver.interrupted(S0)).toBe(false);
    expect(driver.claim(S0)).toBe(5);
  });

  it('never gives a source of priority 0, nor one that is not enabled', () => {
    const driver = new Driver();
    driver.enable(S0, 5);
    driver.priority(6, 7);
    driver.plic.line(5).set(true);
    driver.plic.line(6).set(true);
    expect(driver.interrupted(S0)).toBe(false);
    expect(driver.claim(S0)).toBe(0);
    driver.priority(5, 1);
    expect(driver.interrupted(S0)).toBe(true);
  });

  it('gives an interrupt to the first context that claims it', () => {
    const driver = new Driver();
    driver.priority(8, 1);
    driver.enable(S0, 8);
    driver.enable(S1, 8);
    driver.plic.line(8).set(true);
    expect([driver.interrupted(S0), driver.interrupted(S1)]).toEqual([true, true]);
    expect(driver.claim(S1)).toBe(8);
    expect([driver.interrupted(S0), driver.interrupted(S1)]).toEqual([false, false]);
    expect(driver.claim(S0)).toBe(0);
  });

  it('ignores completion of what is not claimed, not enabled there, or no source', () => {
    const driver = new Driver();
    driver.priority(9, 1);
    driver.enable(S0, 9);
    driver.plic.line(9).set(true);
    driver.complete(S0, 9);
    expect(driver.claim(S0)).toBe(9);
    for (const source of [0, 8, 41, 96, 0xffffffff]) driver.complete(S0, source);
    driver.complete(M0, 9);
    expect(driver.pending(9)).toBe(false);
    driver.complete(S0, 9);
    expect(driver.pending(9)).toBe(true);
  });

  it('holds 3 bits of priority and threshold, and no source 0', () => {
    const driver = new Driver();
    driver.priority(1, 0xff);
    driver.priority(0, 7);
    driver.threshold(S0, 0xfffffffa);
    driver.plic.write(ENABLE_BASE + ENABLE_STRIDE, 4, 0xffffffff);
    driver.plic.write(PENDING_BASE, 4, 0xffffffff);
    expect(driver.plic.read(4, 4)).toBe(7);
    expect(driver.plic.read(0, 4)).toBe(0);
    expect(driver.plic.read(CONTEXT_BASE + CONTEXT_STRIDE, 4)).toBe(2);
    expect(driver.plic.read(ENABLE_BASE + ENABLE_STRIDE, 4)).toBe(0xfffffffe);
    expect(driver.plic.read(PENDING_BASE, 4)).toBe(0);
  });

  it.each([1, 31, 32, 63, 64, 95])('serves source %i in the first and the last context', source => {
    for (const context of [M0, S1]) {
      const driver = new Driver();
      driver.priority(source, 2);
      driver.enable(context, source);
      driver.threshold(context, 1);
      const line = driver.plic.line(source);
      line.set(true);
      const word = ENABLE_BASE + context * ENABLE_STRIDE + 4 * (source >>> 5);
      expect(driver.plic.read(word, 4)).toBe((1 << (source & 31)) >>> 0);
      expect(driver.interrupted(context)).toBe(true);
      expect(driver.claim(context)).toBe(source);
      line.set(false);
      expect(driver.interrupted(context)).toBe(false);
      driver.complete(context, source);
      line.set(true);
      expect(driver.claim(context)).toBe(source);
    }
  });

  it('has its pins low after reset', () => {
    const driver = new Driver();
    driver.priority(1, 1);
    driver.enable(S0, 1);
    driver.plic.line(1).set(true);
    expect(driver.interrupted(S0)).toBe(true);
    driver.plic.reset();
    expect(driver.interrupted(S0)).toBe(false);
  });

  it('refuses a state that its registers could not hold', () => {
    const { plic, harts } = new Driver();
    const state = plic.save();
    const context = state.contexts[0]!;
    const others = state.contexts.slice(1);
    const damages: object[] = [
      { priorities: Uint8Array.of(1, ...state.priorities.slice(1)) },
      { priorities: Uint8Array.of(0, 8, ...state.priorities.slice(2)) },
      { levels: [1, 0, 0] },
      { pending: [3, 0, 0] },
      { claimed: [1, 1, 1] },
      { contexts: [{ ...context, enabled: [1, 0, 0] }, ...others] },
      { contexts: [{ ...context, threshold: 8 }, ...others] },
      { contexts: others },
    ];
    for (const damage of damages) expect(() => Plic.restore({ harts }, { ...state, ...damage })).toThrow(/damaged/);
    expect(() => Plic.restore({ harts }, state)).not.toThrow();
  });

  it('has no lines beyond its sources', () => {
    const { plic } = new Driver();
    for (const source of [0, 96, -1, 1.5]) expect(() => plic.line(source)).toThrow(/does not exist/);
  });

  it('drives its pins again after a restore', () => {
    const driver = new Driver();
    driver.priority(4, 1);
    driver.enable(S1, 4);
    driver.plic.line(4).set(true);
    const harts = pinsOfAll();
    const restored = Plic.restore({ harts }, driver.plic.save());
    expect(harts.map(pins => pins.mip)).toEqual([0, 1 << SEIP]);
    restored.line(4).set(true);
    restored.line(4).set(false);
    expect(restored.read(CONTEXT_BASE + S1 * CONTEXT_STRIDE + CLAIM_COMPLETE, 4)).toBe(4);
    expect(harts[1]!.mip).toBe(0);
    expect(() => Plic.restore({ harts: harts.slice(1) }, driver.plic.save())).toThrow(/contexts/);
  });
});
