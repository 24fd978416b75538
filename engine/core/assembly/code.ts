// The code cache: one slot of decoded records per frame that code was fetched from. It is also the seam for the JIT:
// a slot is the unit in which translations live and die, `drop` is the only place where they die (FENCE.I after a
// write, eviction, a frame that changes its content from outside), and fetch-TLB entries are the only way in.
import {
  CODE_DROPS, CODE_INDEX, CODE_META, CODE_POOL, CODE_SLOTS, CODE_SLOT_SIZE, FRAME_CODE, FRAME_STATE, FRAME_TAIL,
  PAGE_RECORDS, STALE_LIST, TLB, TLB_CONTEXT_SIZE, TLB_FETCH, TLB_STORE, TLB_TABLE_SIZE,
} from './layout';
import { OP_CROSSING, OP_PAGE_END } from '../build/generated/opcodes';
import { decodeInto, expandCompressed } from '../build/generated/decode';
import { ACCESS_FETCH, clearEvent } from './hart';
import { NO_ADDRESS, fill, flushTable, locate, wholePage } from './mmu';
import { forgetStale, frameAddress, frameOf, isRam, pageOf, staleCount, staleTail } from './memory';
import { writeRecord } from './record';

/** The slot that is given away next when all are in use. */
let nextVictim: u32 = 0;

@inline
export function slotRecords(slot: u32): u32 {
  return CODE_POOL + slot * CODE_SLOT_SIZE;
}

@inline
function slotOfRecords(records: u32): u32 {
  return (records - CODE_POOL) / CODE_SLOT_SIZE;
}

/** Forgets a slot's decoded code. The caller flushes the fetch TLB. */
function drop(slot: u32): void {
  const meta = CODE_META + (slot << 4);
  const owner = load<u32>(meta);
  if (owner == 0) return;
  const frame = owner - 1;
  store<u16>(CODE_INDEX + (frame << 1), 0);
  store<u8>(FRAME_STATE + frame, load<u8>(FRAME_STATE + frame) & ~(<u8>FRAME_CODE));
  store<u64>(meta, 0);
  store<u32>(meta, 0, 8);
  store<u64>(CODE_DROPS, load<u64>(CODE_DROPS) + 1);
}

/** FENCE.I: drops every slot whose frame was written since it was decoded. */
export function dropStale(): void {
  if (staleCount == 0 && !staleTail) return;
  for (let i: u32 = 0; i < staleCount; i++) {
    const slot = load<u32>(STALE_LIST + (i << 2));
    if (load<u32>(CODE_META + (slot << 4), 4)) drop(slot);
  }
  forgetStale();
  flushTable(TLB_FETCH);
}

/** Drops everything, after memory was changed from outside (reset, restore). */
export function dropAll(): void {
  for (let slot: u32 = 0; slot < CODE_SLOTS; slot++) drop(slot);
  forgetStale();
  flushTable(TLB_FETCH);
}

/** Drops a frame's decoded code, because the frame is given to another page. */
export function dropFrame(frame: u32): void {
  const index = <u32>load<u16>(CODE_INDEX + (frame << 1));
  if (index == 0) return;
  if (load<u32>(CODE_META + ((index - 1) << 4), 4)) dropStale();
  drop(index - 1);
  flushTable(TLB_FETCH);
}

/**
 * Removes every TLB entry that leads to a frame, because its page moves to another one. Several virtual pages may lead
 * there, so all entries are looked at: that costs about a microsecond, filling the TLBs anew would cost ten times that.
 */
export function forgetFrame(frame: u32): void {
  const base = frameAddress(frame);
  const index = <u32>load<u16>(CODE_INDEX + (frame << 1));
  const records = index == 0 ? 0 : slotRecords(index - 1);
  const state = load<u8>(FRAME_STATE + frame);
  if (state & FRAME_TAIL) {
    // The second half of an instruction moves: pages are compared with it as they are entered anew.
    store<u8>(FRAME_STATE + frame, state & ~(<u8>FRAME_TAIL));
    flushTable(TLB_FETCH);
  }
  for (let context: u32 = 0; context < 4; context++) {
    const tables = TLB + context * TLB_CONTEXT_SIZE;
    // Load and store entries lie side by side. An entry's value is the machine address less the virtual one, its tag.
    for (let at = tables, end = tables + TLB_FETCH; at < end; at += 16) {
      if (load<u32>(at) + load<u32>(at, 8) == base) store<u64>(at, u64.MAX_VALUE);
    }
    if (records == 0) continue;
    for (let at = tables + TLB_FETCH, end = at + TLB_TABLE_SIZE; at < end; at += 16) {
      if (load<u32>(at, 8) == records) store<u64>(at, u64.MAX_VALUE);
    }
  }
}

/** The records of a frame, a fresh slot if it has none. */
function recordsOf(frame: u32): u32 {
  const index = <u32>load<u16>(CODE_INDEX + (frame << 1));
  if (index != 0) return slotRecords(index - 1);
  const slot = nextVictim;
  nextVictim = slot + 1 == CODE_SLOTS ? 0 : slot + 1;
  const meta = CODE_META + (slot << 4);
  if (load<u32>(meta)) {
    // A stale slot stays on the stale list; its mark is gone with `drop`, so the list entry is skipped later.
    if (load<u32>(meta, 4)) dropStale();
    drop(slot);
    flushTable(TLB_FETCH);
  }
  store<u32>(meta, frame + 1);
  store<u16>(CODE_INDEX + (frame << 1), <u16>(slot + 1));
  store<u8>(FRAME_STATE + frame, load<u8>(FRAME_STATE + frame) | <u8>FRAME_CODE);
  // From now on stores to this frame must be seen.
  flushTable(TLB_STORE);
  const records = slotRecords(slot);
  memory.fill(records, 0, PAGE_RECORDS);
  writeRecord(records + PAGE_RECORDS, OP_PAGE_END, 0, 0, 0, 0);
  writeRecord(records + PAGE_RECORDS + 8, OP_PAGE_END, 0, 0, 0, 0);
  return records;
}

/** The record of a 4-byte instruction whose second half is in the next page. */
@inline
function lastRecord(records: u32): u32 {
  return records + PAGE_RECORDS - 8;
}

/**
 * Records for the page of `va`, entered into the fetch TLB; 0 when its code cannot be cached (not RAM, PMP splits the
 * page) or with the fault raised.
 */
export function fetchPage(va: u64, context: u32): u32 {
  const address = locate(va, 2, ACCESS_FETCH, context);
  if (address == NO_ADDRESS || !wholePage || !isRam(address)) return 0;
  const frame = frameOf(pageOf(address));
  const records = recordsOf(frame);
  fill(va, context, TLB_FETCH, records);
  checkCrossing(records, va, context);
  // Looking at the next page may have set an A bit in this very page, and so have moved it.
  return frameOf(pageOf(address)) == frame ? records : fetchPage(va, context);
}

/**
 * A cached instruction that reaches into the next page is right only as long as the next virtual page holds the same
 * second half. That can change with the mapping alone, so it is compared each time the page is entered anew into the
 * fetch TLB; SFENCE.VMA for the next page, and FENCE.I after a write to its frame, remove that entry.
 */
function checkCrossing(records: u32, va: u64, context: u32): void {
  const meta = CODE_META + (slotOfRecords(records) << 4);
  const known = load<u32>(meta, 8);
  if (known == 0) return;
  if (secondHalf(va, context) == known) return;
  store<u32>(meta, 0, 8);
  writeRecord(lastRecord(records), OP_CROSSING, 4, 0, 0, 0);
  flushTable(TLB_FETCH);
}

/** First halfword of the page after `va` | 0x10000, or 0 when it cannot be fetched from cacheable RAM. */
function secondHalf(va: u64, context: u32): u32 {
  const next = (va & ~0xfff) + 4096;
  const address = locate(next, 2, ACCESS_FETCH, context);
  if (address == NO_ADDRESS) {
    clearEvent();
    return 0;
  }
  if (!wholePage || !isRam(address)) return 0;
  const frame = frameOf(pageOf(address));
  const state = load<u8>(FRAME_STATE + frame);
  if ((state & FRAME_TAIL) == 0) {
    // From now on stores to this frame must be seen, even if nothing else in it is ever executed.
    store<u8>(FRAME_STATE + frame, state | <u8>FRAME_TAIL);
    flushTable(TLB_STORE);
  }
  return <u32>load<u16>(frameAddress(frame)) | 0x10000;
}

/** Tries to cache an instruction that reaches into the next page; false when that page's code cannot be cached. */
export function cacheCrossing(records: u32, va: u64, context: u32): bool {
  const half = secondHalf(va, context);
  if (half == 0) return false;
  const meta = CODE_META + (slotOfRecords(records) << 4);
  // Another mapping of this frame may have another page behind it.
  if (load<u32>(meta, 8) != half) flushTable(TLB_FETCH);
  store<u32>(meta, half, 8);
  const frame = load<u32>(meta) - 1;
  decodeInto(lastRecord(records), <u32>load<u16>(frameAddress(frame), 4094) | (half << 16), 4);
  return true;
}

/** Decodes the instruction that an UNDECODED record stands for. */
export function decodeRecord(records: u32, at: u32): void {
  const offset = (at - records) >> 2;
  const code = frameAddress(load<u32>(CODE_META + (slotOfRecords(records) << 4)) - 1) + offset;
  const low = <u32>load<u16>(code);
  if ((low & 3) != 3) decodeInto(at, expandCompressed(low), 2);
  else if (offset == 4094) writeRecord(at, OP_CROSSING, 4, 0, 0, 0);
  else decodeInto(at, low | (<u32>load<u16>(code, 2) << 16), 4);
}
