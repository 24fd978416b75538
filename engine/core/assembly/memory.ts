// Frames of machine memory and the one write barrier (DESIGN 4): everything that writes guest memory (stores, AMOs,
// the page walker, device DMA, loaders) gets its frame from `frameForStore`, or from a store-TLB entry filled by it.
import {
  CODE_INDEX, CODE_META, EPOCH, FRAMES, FRAME_CODE, FRAME_SHARED, FRAME_STATE, FRAME_TAIL, HOLDING, MAP_CHUNK, MAP_COUNT,
  MAP_DIRECTORY, MAP_LOOKUPS, MAP_RANGES, MMIO_FAULT, MMIO_HIGH, PAGE_ABSENT, PAGE_CHECKS, PAGE_EPOCH, PAGE_FLAGS,
  PAGE_UNTOUCHED, RAM_BASE, RAM_PAGES, RESERVATION, STALE_LIST, TOUCH_COUNT, TOUCH_LOG, TOUCH_LOG_LENGTH,
} from './layout';
import { cowFault, mmioLoad, mmioStore, pageIn } from './host';
import { leave } from './hart';
import { forgetFrame } from './code';

/** Code slots whose frame was written since they were decoded; they are dropped at the next FENCE.I. */
export let staleCount: u32 = 0;

/** A frame that begins with the second half of a decoded instruction was written since. */
export let staleTail: bool = false;

export function forgetStale(): void {
  staleCount = 0;
  staleTail = false;
}

/**
 * The frame behind a guest-physical page number, with the page's bytes in it. Only slow paths ask, so a TLB hit costs the
 * same either way (V4, V12).
 */
@inline
export function frameOf(page: u32): u32 {
  if (atomic.load<u32>(PAGE_CHECKS) != 0) attend(page);
  return load<u32>(MAP_COUNT) == 0 ? page : mappedFrame(page);
}

/** What is to be done at a page's first use. Afterwards TLB entries lead to the page and nobody asks again. */
function attend(page: u32): void {
  const flags = <u32>atomic.load<u8>(PAGE_FLAGS + page);
  if (flags & PAGE_UNTOUCHED) recordTouch(page);
  if (flags & PAGE_ABSENT) pageIn(page);
}

function recordTouch(page: u32): void {
  atomic.and<u8>(PAGE_FLAGS + page, ~(<u8>PAGE_UNTOUCHED));
  const count = load<u32>(TOUCH_COUNT);
  if (count < TOUCH_LOG_LENGTH && (load<u32>(PAGE_CHECKS) & PAGE_UNTOUCHED) != 0) {
    store<u32>(TOUCH_LOG + (count << 2), page);
    atomic.store<u32>(TOUCH_COUNT, count + 1);
  } else atomic.and<u32>(PAGE_CHECKS, ~PAGE_UNTOUCHED);
}

function mappedFrame(page: u32): u32 {
  const end = MAP_RANGES + (load<u32>(MAP_COUNT) << 3);
  for (let range: u32 = MAP_RANGES; range < end; range += 8) {
    if (page - load<u32>(range) >= load<u32>(range, 4)) continue;
    store<u64>(MAP_LOOKUPS, load<u64>(MAP_LOOKUPS) + 1);
    const chunk = load<u32>(MAP_DIRECTORY + (page / MAP_CHUNK << 2));
    return chunk == 0 ? page : load<u32>(chunk + (page % MAP_CHUNK << 2));
  }
  return page;
}

/** Where a frame's bytes are. */
@inline
export function frameAddress(frame: u32): u32 {
  return FRAMES + (frame << 12);
}

/**
 * Copies a frame for the page that moves there. A reservation moves with it, so that the guest cannot tell. The host's
 * own way to copy shared memory is several times slower.
 */
export function copyFrame(from: u32, to: u32): void {
  memory.copy(frameAddress(to), frameAddress(from), 4096);
  const offset = load<u64>(RESERVATION) - <u64>frameAddress(from);
  if (offset < 4096) store<u64>(RESERVATION, <u64>frameAddress(to) + offset);
}

/** Makes a page writable and says which frame to write. */
export function frameForStore(page: u32): u32 {
  // Before anything is settled: what the store leaves of the page must be there.
  if (atomic.load<u32>(PAGE_CHECKS) != 0) attend(page);
  const epoch = load<u32>(EPOCH);
  if (load<u32>(PAGE_EPOCH + (page << 2)) != epoch) {
    if (load<u32>(HOLDING)) giveOwnFrame(page);
    store<u32>(PAGE_EPOCH + (page << 2), epoch);
  }
  let frame = frameOf(page);
  if (load<u8>(FRAME_STATE + frame) & (FRAME_CODE | FRAME_TAIL | FRAME_SHARED)) {
    if (load<u8>(FRAME_STATE + frame) & FRAME_SHARED) {
      giveOwnFrame(page);
      frame = frameOf(page);
    }
    if (load<u8>(FRAME_STATE + frame) & (FRAME_CODE | FRAME_TAIL)) markStale(frame);
  }
  return frame;
}

/**
 * Has the page given a frame that may be written. What is cached of the old one must not be used on; the loop is left
 * because it may execute records of the old frame, which may become another page's within this run.
 */
function giveOwnFrame(page: u32): void {
  const before = frameOf(page);
  cowFault(page);
  if (frameOf(page) == before) return;
  forgetFrame(before);
  leave();
}

/** A device wrote into a frame that it was given some time ago. */
export function written(frame: u32): void {
  if (load<u8>(FRAME_STATE + frame) & (FRAME_CODE | FRAME_TAIL)) markStale(frame);
}

/**
 * A frame with decoded code is about to be written. The architecture lets old instructions be executed until the next
 * FENCE.I, so they are only marked here: a page that mixes code and data does not thrash.
 */
function markStale(frame: u32): void {
  const state = load<u8>(FRAME_STATE + frame);
  store<u8>(FRAME_STATE + frame, state & ~(<u8>(FRAME_CODE | FRAME_TAIL)));
  if (state & FRAME_TAIL) staleTail = true;
  if ((state & FRAME_CODE) == 0) return;
  const slot = <u32>load<u16>(CODE_INDEX + (frame << 1)) - 1;
  store<u32>(CODE_META + (slot << 4), 1, 4);
  store<u32>(STALE_LIST + (staleCount << 2), slot);
  staleCount += 1;
}

/** Whether a guest-physical address (of an access that does not cross a page) is RAM. */
@inline
export function isRam(address: u64): bool {
  return address - RAM_BASE < <u64>load<u32>(RAM_PAGES) << 12;
}

@inline
export function pageOf(address: u64): u32 {
  return <u32>((address - RAM_BASE) >> 12);
}

/** Machine address of a RAM byte for reading. */
@inline
export function machineForLoad(address: u64): u32 {
  return frameAddress(frameOf(pageOf(address))) + (<u32>address & 0xfff);
}

@inline
export function machineForStore(address: u64): u32 {
  return frameAddress(frameForStore(pageOf(address))) + (<u32>address & 0xfff);
}

export function loadSized(at: u32, size: u32): u64 {
  if (size == 8) return load<u64>(at);
  if (size == 4) return <u64>load<u32>(at);
  if (size == 2) return <u64>load<u16>(at);
  return <u64>load<u8>(at);
}

export function storeSized(at: u32, size: u32, value: u64): void {
  if (size == 8) store<u64>(at, value);
  else if (size == 4) store<u32>(at, <u32>value);
  else if (size == 2) store<u16>(at, <u16>value);
  else store<u8>(at, <u8>value);
}

/** False when nothing is mapped there. The value is in `deviceValue`. */
export let deviceValue: u64 = 0;

export function deviceLoad(address: u64, size: u32): bool {
  if (address >> 32 != 0 || (address & <u64>(size - 1)) != 0) return false;
  store<u32>(MMIO_FAULT, 0);
  store<u32>(MMIO_HIGH, 0);
  const low = mmioLoad(<u32>address, size);
  leave();
  deviceValue = <u64>low | (size == 8 ? <u64>load<u32>(MMIO_HIGH) << 32 : 0);
  return load<u32>(MMIO_FAULT) == 0;
}

export function deviceStore(address: u64, size: u32, value: u64): bool {
  if (address >> 32 != 0 || (address & <u64>(size - 1)) != 0) return false;
  store<u32>(MMIO_FAULT, 0);
  mmioStore(<u32>address, size, <u32>value, <u32>(value >> 32));
  leave();
  return load<u32>(MMIO_FAULT) == 0;
}
