// What the built-in SBI is tested against.

import type { RemoteFence, ResetRequest, SbiServices } from './services.ts';

export const RAM_AT = 0x8000_0000;
export const RAM_SIZE = 0x4000;

/** A machine that notes what it is asked to do; its console has as much room as a test says. */
export class FakeMachine implements SbiServices {
  readonly identity = { mvendorid: 0n, marchid: 0x8000_0000_0000_0007n, mimpid: 9n };
  readonly ram = new Uint8Array(RAM_SIZE);
  readonly events: unknown[] = [];
  room = Number.POSITIVE_INFINITY;
  printed = '';
  typed = '';

  readonly memory = {
    contains: (at: number, length: number): boolean => at >= RAM_AT && at + length <= RAM_AT + RAM_SIZE,
    read: (at: number, into: Uint8Array): boolean => {
      if (!this.memory.contains(at, into.length)) return false;
      into.set(this.ram.subarray(at - RAM_AT, at - RAM_AT + into.length));
      return true;
    },
    write: (at: number, from: Uint8Array): boolean => {
      if (!this.memory.contains(at, from.length)) return false;
      this.ram.set(from, at - RAM_AT);
      return true;
    },
  };

  readonly console = {
    write: (bytes: Uint8Array): number => {
      const taken = Math.min(bytes.length, this.room);
      this.room -= taken;
      this.printed += String.fromCharCode(...bytes.subarray(0, taken));
      return taken;
    },
    read: (into: Uint8Array): number => {
      const given = new TextEncoder().encode(this.typed.slice(0, into.length));
      into.set(given);
      this.typed = this.typed.slice(given.length);
      return given.length;
    },
  };

  setTimer(hart: number, ticks: bigint): void {
    this.events.push(['timer', hart, ticks]);
  }

  sendInterrupt(harts: readonly number[]): void {
    this.events.push(['interrupt', harts]);
  }

  fence(harts: readonly number[], fence: RemoteFence): void {
    this.events.push(['fence', harts, fence]);
  }

  startHart(hart: number, at: number, opaque: bigint): void {
    this.events.push(['start', hart, at, opaque]);
  }

  stopHart(hart: number): void {
    this.events.push(['stop', hart]);
  }

  reset(request: ResetRequest): void {
    this.events.push(['reset', request]);
  }
}
