import { AfterimageError } from '../../base/errors.ts';
import type { AccessWidth, MmioDevice, WideDevice, WideValue } from '../device.ts';

interface Window {
  readonly base: number;
  /** First address after the window. */
  readonly end: number;
  readonly device: MmioDevice;
  /** The same device when it takes 8-byte accesses whole. */
  readonly wide: WideDevice | undefined;
}

function asWide(device: MmioDevice): WideDevice | undefined {
  return 'readWide' in device && 'writeWide' in device ? (device as WideDevice) : undefined;
}

/**
 * Guest-physical addresses to devices. A miss (no device there, an access that leaves its window, or one that is not
 * aligned to its width) is told to the caller, which raises the guest's access fault.
 */
export class Bus {
  /** Upper word of the last 8-byte read. */
  high = 0;
  // Sorted by base, not overlapping.
  readonly #windows: Window[] = [];
  // Accesses come in runs to one device, so the window of the last one is tried first.
  #last: Window | undefined;
  readonly #result: WideValue = { low: 0, high: 0 };

  /** @throws AfterimageError `internal` for windows that overlap, are empty or not 8-byte aligned. */
  map(base: number, size: number, device: MmioDevice): void {
    const end = base + size;
    const sound = Number.isSafeInteger(base) && base >= 0 && base % 8 === 0 && size > 0 && size % 8 === 0;
    if (!sound || !Number.isSafeInteger(end) || this.#windows.some(other => base < other.end && other.base < end)) {
      throw new AfterimageError('internal', 'Device window is malformed or overlaps another', {
        device: device.name,
        base,
        size,
      });
    }
    this.#windows.push({ base, end, device, wide: asWide(device) });
    this.#windows.sort((a, b) => a.base - b.base);
  }

  /** The mapped devices in the order of their addresses. */
  get devices(): readonly MmioDevice[] {
    return this.#windows.map(window => window.device);
  }

  /** The value read, `undefined` for a miss. For width 8 it is the lower word, and the upper one is in `high`. */
  read(address: number, width: AccessWidth): number | undefined {
    const window = this.#find(address, width);
    if (window === undefined) return undefined;
    const offset = address - window.base;
    if (width !== 8) return window.device.read(offset, width);
    if (window.wide !== undefined) {
      window.wide.readWide(offset, this.#result);
      this.high = this.#result.high;
      return this.#result.low;
    }
    const low = window.device.read(offset, 4);
    this.high = window.device.read(offset + 4, 4);
    return low;
  }

  /** Whether a device took the value. For width 8 `value` is the lower word and `high` the upper one. */
  write(address: number, width: AccessWidth, value: number, high = 0): boolean {
    const window = this.#find(address, width);
    if (window === undefined) return false;
    const offset = address - window.base;
    if (width !== 8) {
      window.device.write(offset, width, value);
    } else if (window.wide !== undefined) {
      window.wide.writeWide(offset, value, high);
    } else {
      window.device.write(offset, 4, value);
      window.device.write(offset + 4, 4, high);
    }
    return true;
  }

  #find(address: number, width: number): Window | undefined {
    // Windows are aligned to 8, so an aligned access that starts in one also ends in it.
    if (address % width !== 0) return undefined;
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    let from = 0;
    let to = this.#windows.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const window = this.#windows[middle]!;
      if (address < window.base) {
        to = middle;
      } else if (address >= window.end) {
        from = middle + 1;
      } else {
        this.#last = window;
        return window;
      }
    }
    return undefined;
  }
}
