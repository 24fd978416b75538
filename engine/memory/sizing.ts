import { PAGE_SIZE } from '../base/addresses.ts';

/** Pages of WebAssembly.Memory (64 KiB). */
const WASM_PAGE = 65536;
/** A memory32 has 4 GiB. */
const LARGEST = 2 ** 32;
/** Frames beyond RAM, for the copies that checkpoints take: an eighth of RAM, at least this much. */
const SMALLEST_RESERVE = 16 * 2 ** 20;

export interface MachineMemorySize {
  /** For `new WebAssembly.Memory({ initial, maximum: 65536, shared: true })`. */
  readonly wasmPages: number;
  /** Frames of RAM and reserve together. */
  readonly frames: number;
}

/**
 * How much WebAssembly.Memory a machine with `ram` bytes needs. The host backs only what is touched, so a large reserve
 * costs nothing until copies are taken.
 *
 * @param framesAt machine address of the first frame (`Layout.FRAMES`)
 */
export function machineMemorySize(ram: number, framesAt: number): MachineMemorySize {
  const reserve = Math.max(SMALLEST_RESERVE, ram / 8);
  const bytes = Math.min(LARGEST, Math.ceil((framesAt + ram + reserve) / WASM_PAGE) * WASM_PAGE);
  return { wasmPages: bytes / WASM_PAGE, frames: Math.floor((bytes - framesAt) / PAGE_SIZE) };
}
