// Surroundings for devices under test: each notes what the device did to it.
import type { TimeSource, WallClock } from '../../engine/devices/clocks.ts';
import type { ConsolePort } from '../../engine/devices/console-port.ts';
import type { GuestErrors, IrqLine } from '../../engine/devices/device.ts';
import type { HartPins } from '../../engine/devices/hart-pins.ts';

export class TestLine implements IrqLine {
  level = false;
  /** How often the line went up. */
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) this.rises += 1;
    this.level = level;
  }
}

export class TestPins implements HartPins {
  /** As `mip` would show them. */
  mip = 0;

  set(bit: number, level: boolean): void {
    if (level) this.mip |= 1 << bit;
    else this.mip &= ~(1 << bit);
  }

  has(bit: number): boolean {
    return (this.mip & (1 << bit)) !== 0;
  }
}

export class TestTime implements TimeSource {
  now: number;

  constructor(now = 0) {
    this.now = now;
  }

  ticks(): number {
    return this.now;
  }
}

export class TestWallClock implements WallClock {
  now: bigint;

  constructor(now = 0n) {
    this.now = now;
  }

  nanoseconds(): bigint {
    return this.now;
  }
}

export class TestErrors implements GuestErrors {
  readonly reports: string[] = [];

  report(device: string, what: string): void {
    this.reports.push(`${device}: ${what}`);
  }
}

/** A console whose two sides the test holds: `input` is what a person types, `output` what the person sees. */
export class TestPort implements ConsolePort {
  input: number[] = [];
  output: number[] = [];
  /** How many bytes `output` may grow to. */
  limit = Number.POSITIVE_INFINITY;
  reads = 0;
  writes = 0;

  type(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.input.push(byte);
  }

  get text(): string {
    return new TextDecoder().decode(Uint8Array.from(this.output));
  }

  get available(): number {
    return this.input.length;
  }

  get room(): number {
    return this.limit - this.output.length;
  }

  read(into: Uint8Array): number {
    this.reads += 1;
    const count = Math.min(into.length, this.input.length);
    into.set(this.input.splice(0, count));
    return count;
  }

  write(from: Uint8Array): number {
    this.writes += 1;
    const count = Math.min(from.length, this.room);
    for (const byte of from.subarray(0, count)) this.output.push(byte);
    return count;
  }
}
