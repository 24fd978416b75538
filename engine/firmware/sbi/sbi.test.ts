import { describe, expect, test } from 'vitest';
import { decode, encode } from '../../state/section.ts';
import type { SbiOutcome, SbiRegisters } from './call.ts';
import { FakeMachine, RAM_AT, RAM_SIZE } from './fake-machine.ts';
import { Sbi, sbiSection } from './sbi.ts';
import type { RemoteFence, ResetRequest } from './services.ts';

const NEVER = 2n ** 64n - 1n;

const BASE = 0x10n;
const TIME = 0x54494d45n;
const IPI = 0x735049n;
const RFENCE = 0x52464e43n;
const HSM = 0x48534dn;
const SRST = 0x53525354n;
const DBCN = 0x4442434en;

// Errors as the guest finds them in a0.
const SUCCESS = 0n;
const NOT_SUPPORTED = 2n ** 64n - 2n;
const INVALID_PARAM = 2n ** 64n - 3n;
const INVALID_ADDRESS = 2n ** 64n - 5n;
const ALREADY_AVAILABLE = 2n ** 64n - 6n;

class FakeRegisters implements SbiRegisters {
  readonly values: bigint[];

  constructor(extension: bigint, functionId: bigint, values: readonly bigint[]) {
    // Registers that no call may change hold what no call would write.
    this.values = Array.from({ length: 32 }, (_, index) => 0xabcd_0000n + BigInt(index));
    this.values.splice(10, values.length, ...values);
    this.values[16] = functionId;
    this.values[17] = extension;
  }

  get(index: number): bigint {
    return this.values[index]!;
  }

  set(index: number, value: bigint): void {
    if (value !== BigInt.asUintN(64, value)) expect.fail(`register ${index} is set to ${value}`);
    this.values[index] = value;
  }
}

interface Answer {
  outcome: SbiOutcome;
  error: bigint;
  value: bigint;
}

class Bench {
  readonly machine = new FakeMachine();
  readonly sbi: Sbi;

  constructor(harts = 1) {
    this.sbi = Sbi.atPowerOn(this.machine, harts);
  }

  call(extension: bigint, functionId: bigint, ...values: readonly bigint[]): Answer {
    return this.callFrom(0, extension, functionId, ...values);
  }

  callFrom(hart: number, extension: bigint, functionId: bigint, ...values: readonly bigint[]): Answer {
    const registers = new FakeRegisters(extension, functionId, values);
    const before = [...registers.values];
    const outcome = this.sbi.call(hart, registers);
    const mayChange = outcome === 'return' || outcome === 'wait' ? [10, 11] : [];
    const changed = registers.values.flatMap((value, index) => (value === before[index] ? [] : index));
    if (!changed.every(index => mayChange.includes(index))) expect(changed, 'changed registers').toEqual(mayChange);
    return { outcome, error: registers.values[10]!, value: registers.values[11]! };
  }
}

const ok = (value = 0n): Answer => ({ outcome: 'return', error: SUCCESS, value });
const refused = (error: bigint): Answer => ({ outcome: 'return', error, value: 0n });

describe('base', () => {
  test('says what there is', () => {
    const bench = new Bench();
    expect(bench.call(BASE, 0n)).toEqual(ok(0x0200_0000n));
    expect(bench.call(BASE, 1n).value).toBeGreaterThan(11n);
    expect(bench.call(BASE, 2n)).toEqual(ok(1n));
    expect(bench.call(BASE, 4n)).toEqual(ok(0n));
    expect(bench.call(BASE, 5n)).toEqual(ok(0x8000_0000_0000_0007n));
    expect(bench.call(BASE, 6n)).toEqual(ok(9n));
  });

  test.each<[bigint, bigint]>([
    ...[BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN].map(id => [id, 1n] as [bigint, bigint]),
    // Legacy console and timer, PMU, SUSP, vendor space, and an id whose lower half alone would be BASE.
    ...[0n, 1n, 2n, 8n, 0x504d55n, 0x53555350n, 0x0900_0000n, 2n ** 32n + BASE, NEVER].map(
      id => [id, 0n] as [bigint, bigint],
    ),
  ])('probe of %s gives %i, and a call agrees', (id, available) => {
    expect(new Bench().call(BASE, 3n, id)).toEqual(ok(available));
    expect(new Bench().call(id, 99n)).toEqual(refused(NOT_SUPPORTED));
    if (available === 0n) expect(new Bench().call(id, 0n, 0x41n)).toEqual(refused(NOT_SUPPORTED));
  });
});

test('time passes all 64 bits on', () => {
  const bench = new Bench(2);
  expect(bench.callFrom(1, TIME, 0n, NEVER)).toEqual(ok());
  expect(bench.machine.events).toEqual([['timer', 1, NEVER]]);
});

describe('hart masks', () => {
  test.each<[string, bigint, bigint, number[]]>([
    ['one hart', 1n, 0n, [0]],
    ['harts counted from the base', 0b101n, 1n, [1, 3]],
    ['all harts, whatever the mask', 0n, NEVER, [0, 1, 2, 3]],
    ['none', 0n, 0n, []],
    ['none, from a base that is not there', 0n, 77n, []],
  ])('%s', (_what, mask, base, harts) => {
    const bench = new Bench(4);
    for (const hart of [1, 2, 3]) bench.sbi.hartStarted(hart);
    expect(bench.call(IPI, 0n, mask, base)).toEqual(ok());
    expect(bench.machine.events).toEqual([['interrupt', harts]]);
  });

  test.each<[bigint, bigint]>([
    [0b10000n, 0n],
    [1n, 4n],
    [0b11n, 3n],
    [NEVER, 0n],
    [1n, NEVER - 1n],
    [2n ** 63n, 0n],
  ])('mask %s from base %s names a hart that is not there', (mask, base) => {
    for (const extension of [IPI, RFENCE]) {
      const bench = new Bench(4);
      expect(bench.call(extension, 0n, mask, base)).toEqual(refused(INVALID_PARAM));
      expect(bench.machine.events).toEqual([]);
    }
  });

  test('stopped harts are left alone', () => {
    const bench = new Bench(3);
    bench.sbi.hartStarted(2);
    expect(bench.call(IPI, 0n, 0b111n, 0n)).toEqual(ok());
    expect(bench.call(RFENCE, 0n, 0b111n, 0n)).toEqual(ok());
    expect(bench.machine.events).toEqual([
      ['interrupt', [0, 2]],
      ['fence', [0, 2], { kind: 'instructions' }],
    ]);
  });
});

describe('remote fences', () => {
  const all = { kind: 'translations', range: 'all', addressSpace: 'all' } as const;
  test.each<[string, bigint, bigint[], RemoteFence]>([
    ['instructions', 0n, [], { kind: 'instructions' }],
    ['everything by zeroes', 1n, [0n, 0n], all],
    ['everything by size', 1n, [0x1000n, NEVER], all],
    ['a range', 1n, [0x1000n, 0x2000n], { ...all, range: { start: 0x1000n, size: 0x2000n } }],
    ['nothing but address 0x1000', 1n, [0x1000n, 0n], { ...all, range: { start: 0x1000n, size: 0n } }],
    ['one address space', 2n, [0n, 0n, 5n], { ...all, addressSpace: 5 }],
    ['an address space beyond its 16 bits', 2n, [0n, 0n, 0x1_0005n], { ...all, addressSpace: 5 }],
  ])('%s', (_what, functionId, values, fence) => {
    const bench = new Bench();
    expect(bench.call(RFENCE, functionId, 1n, 0n, ...values)).toEqual(ok());
    expect(bench.machine.events).toEqual([['fence', [0], fence]]);
  });

  test.each([3n, 4n, 5n, 6n, 7n])('function %i, of a hypervisor, is not there', functionId => {
    expect(new Bench().call(RFENCE, functionId, 1n, 0n)).toEqual(refused(NOT_SUPPORTED));
  });
});

describe('hart states', () => {
  const status = (bench: Bench, hart: bigint): Answer => bench.call(HSM, 2n, hart);

  test('a hart starts, stops and starts again', () => {
    const bench = new Bench(2);
    expect(status(bench, 0n)).toEqual(ok(0n));
    expect(status(bench, 1n)).toEqual(ok(1n));
    expect(bench.call(HSM, 0n, 1n, BigInt(RAM_AT + 2), NEVER)).toEqual(ok());
    expect(bench.machine.events).toEqual([['start', 1, RAM_AT + 2, NEVER]]);
    expect(status(bench, 1n)).toEqual(ok(2n));
    bench.sbi.hartStarted(1);
    expect(status(bench, 1n)).toEqual(ok(0n));
    expect(bench.callFrom(1, HSM, 1n).outcome).toBe('leave');
    expect(bench.machine.events.at(-1)).toEqual(['stop', 1]);
    expect(status(bench, 1n)).toEqual(ok(1n));
    expect(bench.call(HSM, 0n, 1n, BigInt(RAM_AT), 0n)).toEqual(ok());
  });

  test.each<[string, bigint[], bigint]>([
    ['a hart that is not there', [2n, 0x8000_0000n], INVALID_PARAM],
    ['a hart id beyond all', [NEVER, 0x8000_0000n], INVALID_PARAM],
    ['the hart that calls', [0n, 0x8000_0000n], ALREADY_AVAILABLE],
    ['an address outside RAM', [1n, 0x1000n], INVALID_ADDRESS],
    ['an address beyond all', [1n, NEVER - 1n], INVALID_ADDRESS],
    ['an odd address', [1n, 0x8000_0001n], INVALID_ADDRESS],
    ['the very end of RAM', [1n, 0x8000_4000n], INVALID_ADDRESS],
  ])('start of %s is refused', (_what, values, error) => {
    const bench = new Bench(2);
    expect(bench.call(HSM, 0n, ...values, 0n)).toEqual(refused(error));
    expect(bench.machine.events).toEqual([]);
  });

  test('a hart is started once', () => {
    const bench = new Bench(2);
    bench.call(HSM, 0n, 1n, BigInt(RAM_AT), 0n);
    expect(bench.call(HSM, 0n, 1n, BigInt(RAM_AT), 0n)).toEqual(refused(ALREADY_AVAILABLE));
  });

  test.each([1n, 2n ** 32n, NEVER])('status of hart %s, which is not there', hart => {
    expect(status(new Bench(), hart)).toEqual(refused(INVALID_PARAM));
  });

  test('a retentive suspend waits and returns; others are refused', () => {
    const bench = new Bench(2);
    bench.sbi.hartStarted(1);
    expect(bench.callFrom(1, HSM, 3n, 0n)).toEqual({ outcome: 'wait', error: SUCCESS, value: 0n });
    expect(status(bench, 1n)).toEqual(ok(4n));
    expect(bench.call(IPI, 0n, 0b10n, 0n)).toEqual(ok());
    expect(bench.machine.events).toEqual([['interrupt', [1]]]);
    bench.sbi.hartStarted(1);
    expect(status(bench, 1n)).toEqual(ok(0n));
    // The type is 32 bits, sign-extended by the caller.
    expect(bench.call(HSM, 3n, 0xffff_ffff_8000_0000n)).toEqual(refused(NOT_SUPPORTED));
    for (const type of [1n, 0x1000_0000n, 0x8000_0001n, 0x9000_0000n]) {
      expect(bench.call(HSM, 3n, type)).toEqual(refused(INVALID_PARAM));
    }
  });
});

describe('system reset', () => {
  test.each<[bigint, bigint, ResetRequest]>([
    [0n, 0n, { type: 'shutdown', failure: false }],
    [0n, 1n, { type: 'shutdown', failure: true }],
    [1n, 0n, { type: 'cold-reboot', failure: false }],
    [2n, 2n ** 32n, { type: 'warm-reboot', failure: false }],
  ])('type %i with reason %i', (type, reason, request) => {
    const bench = new Bench();
    expect(bench.call(SRST, 0n, type, reason).outcome).toBe('leave');
    expect(bench.machine.events).toEqual([['reset', request]]);
  });

  test.each<[bigint, bigint]>([
    [3n, 0n],
    [0xf000_0000n, 0n],
    [0xffff_ffffn, 0n],
    [0n, 2n],
    [0n, 0xe000_0000n],
    [0n, 0xffff_ffffn],
  ])('type %s with reason %s is refused', (type, reason) => {
    const bench = new Bench();
    expect(bench.call(SRST, 0n, type, reason)).toEqual(refused(INVALID_PARAM));
    expect(bench.machine.events).toEqual([]);
  });
});

describe('debug console', () => {
  test('writes guest memory', () => {
    const bench = new Bench();
    bench.machine.ram.set(Buffer.from('hello'), 0x10);
    expect(bench.call(DBCN, 0n, 5n, BigInt(RAM_AT + 0x10), 0n)).toEqual(ok(5n));
    expect(bench.machine.printed).toBe('hello');
  });

  test('takes what fits and says how much; a caller that goes on loses nothing', () => {
    const bench = new Bench();
    const text = Array.from({ length: 9000 }, (_, index) => String.fromCharCode(33 + (index % 90))).join('');
    bench.machine.ram.set(Buffer.from(text));
    for (let done = 0, turn = 0; done < text.length; turn += 1) {
      bench.machine.room = turn % 3 === 2 ? 0 : 1000;
      const answer = bench.call(DBCN, 0n, BigInt(text.length - done), BigInt(RAM_AT + done), 0n);
      expect(answer).toEqual(ok(BigInt(Math.min(1000, text.length - done)) * BigInt(turn % 3 === 2 ? 0 : 1)));
      done += Number(answer.value);
    }
    expect(bench.machine.printed).toBe(text);
  });

  test('moves a bounded number of bytes in one call', () => {
    const bench = new Bench();
    expect(bench.call(DBCN, 0n, BigInt(RAM_SIZE), BigInt(RAM_AT), 0n)).toEqual(ok(4096n));
  });

  test('reads what was typed, and nothing when nothing was', () => {
    const bench = new Bench();
    bench.machine.typed = 'abcdef';
    expect(bench.call(DBCN, 1n, 4n, BigInt(RAM_AT), 0n)).toEqual(ok(4n));
    expect(bench.call(DBCN, 1n, 4n, BigInt(RAM_AT + 4), 0n)).toEqual(ok(2n));
    expect(bench.call(DBCN, 1n, 4n, BigInt(RAM_AT + 6), 0n)).toEqual(ok(0n));
    expect(Buffer.from(bench.machine.ram.subarray(0, 8)).toString('latin1')).toBe('abcdef\0\0');
  });

  test.each<[string, bigint[]]>([
    ['outside RAM', [1n, 0x1000n, 0n]],
    ['across the end of RAM', [2n, 0x8000_3fffn, 0n]],
    ['longer than RAM', [0x4001n, 0x8000_0000n, 0n]],
    ['longer than anything', [NEVER, 0x8000_0000n, 0n]],
    ['that wraps around', [0x100n, NEVER - 0x7fn, 0n]],
    ['beyond 64 bits', [1n, 0x8000_0000n, 1n]],
  ])('memory %s is refused in both directions', (_what, values) => {
    const bench = new Bench();
    bench.machine.typed = 'kept';
    expect(bench.call(DBCN, 0n, ...values)).toEqual(refused(INVALID_PARAM));
    expect(bench.call(DBCN, 1n, ...values)).toEqual(refused(INVALID_PARAM));
    expect(bench.machine.printed).toBe('');
    expect(bench.machine.typed).toBe('kept');
  });

  test('nothing to move is a success', () => {
    expect(new Bench().call(DBCN, 0n, 0n, 0n, 0n)).toEqual(ok(0n));
    expect(new Bench().call(DBCN, 1n, 0n, 0n, 0n)).toEqual(ok(0n));
  });

  test('a single byte waits for room by asking again', () => {
    const bench = new Bench();
    bench.machine.room = 0;
    expect(bench.call(DBCN, 2n, 0x141n).outcome).toBe('again');
    bench.machine.room = 1;
    expect(bench.call(DBCN, 2n, 0x141n)).toEqual(ok(0n));
    expect(bench.machine.printed).toBe('A');
  });
});

test('no call throws or changes more than a0 and a1', () => {
  const bench = new Bench(3);
  const interesting = [0n, 1n, 2n, 3n, 0x1000n, 0x8000_0000n, 0x8000_3fffn, 2n ** 32n, 2n ** 63n, NEVER];
  const extensions = [BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, 1n];
  let calls = 0;
  for (const extension of extensions) {
    for (let functionId = 0n; functionId < 8n; functionId += 1n) {
      for (const a of interesting) {
        for (const b of interesting) {
          for (const c of interesting) {
            bench.callFrom(calls % 3, extension, functionId, a, b, c);
            calls += 1;
          }
        }
      }
    }
  }
  expect(calls).toBe(64_000);
}, 30_000);

describe('state', () => {
  test('restored, it answers as before', () => {
    const bench = new Bench(3);
    bench.call(HSM, 0n, 1n, BigInt(RAM_AT), 0n);
    bench.sbi.hartStarted(2);
    bench.callFrom(2, HSM, 3n, 0n);
    const state = bench.sbi.save();
    expect(state).toEqual({ harts: ['started', 'start-pending', 'suspended'] });
    const restored = Sbi.restore(bench.machine, 3, decode(sbiSection, encode(sbiSection, state)));
    expect(restored.save()).toEqual(state);
    restored.hartStarted(1);
    expect(bench.sbi.save()).toEqual(state);
  });

  test('of another number of harts is refused', () => {
    const state = new Bench(3).sbi.save();
    expect(() => Sbi.restore(new FakeMachine(), 2, state)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
  });
});
