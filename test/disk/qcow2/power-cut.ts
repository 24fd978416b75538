// What may be in a file, and what a guest may rely on, when the power goes at some point of a recorded run.
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import type { FileEvent } from './faulty-file.ts';
import type { Random } from './images.ts';
import type { GuestEvent } from './sequence.ts';

const SECTOR = 512;

/**
 * The file after a cut behind the first `cut` events: what a flush has covered is there; of the rest each write, and each
 * sector of a write, may be there or not.
 */
export function fileAfterCut(start: Uint8Array, events: readonly FileEvent[], cut: number, random: Random): MemoryFile {
  const covered = coveredWrites(events, cut);
  const file = new MemoryFile('cut.qcow2', start);
  const habit = random.below(4);
  for (const event of events.slice(0, cut)) {
    if (event.kind !== 'write') continue;
    if (covered.has(event.index) || habit === 0) {
      void file.write(event.at, [event.bytes]);
      continue;
    }
    // Mostly dropped, mostly there, or torn.
    if (habit === 1 ? random.below(8) > 0 : random.below(8) === 0) continue;
    if (habit < 3) {
      void file.write(event.at, [event.bytes]);
      continue;
    }
    let at = 0;
    while (at < event.bytes.length) {
      const end = Math.min(event.bytes.length, at + SECTOR - ((event.at + at) % SECTOR));
      if (random.below(2) === 0) void file.write(event.at + at, [event.bytes.subarray(at, end)]);
      at = end;
    }
  }
  return file;
}

function coveredWrites(events: readonly FileEvent[], cut: number): Set<number> {
  const started = new Map<number, Set<number>>();
  const written = new Set<number>();
  const covered = new Set<number>();
  for (const event of events.slice(0, cut)) {
    if (event.kind === 'written') written.add(event.index);
    else if (event.kind === 'flush') started.set(event.id, new Set(written));
    else if (event.kind === 'flushed') for (const index of started.get(event.id) ?? []) covered.add(index);
  }
  return covered;
}

interface Change {
  readonly values: Uint8Array;
  readonly offset: number;
  readonly maybe: boolean;
  answered: boolean;
  durable: boolean;
}

/** Throws when a sector of `content` is neither what the guest had flushed nor anything that it wrote since. */
export function checkContent(
  initial: Uint8Array,
  events: readonly FileEvent[],
  cut: number,
  content: Uint8Array,
): void {
  const changes: Change[] = [];
  const byId = new Map<number, Change>();
  const started = new Map<number, Change[]>();
  for (const event of events.slice(0, cut)) {
    if (event.kind !== 'note') continue;
    const note = event.note as GuestEvent;
    if (note.kind === 'asked') {
      const change = { ...note, answered: false, durable: false };
      changes.push(change);
      byId.set(note.id, change);
    } else if (note.kind === 'answered') byId.get(note.id)!.answered = true;
    else if (note.kind === 'flush')
      started.set(
        note.id,
        changes.filter(change => change.answered),
      );
    else for (const change of started.get(note.id) ?? []) change.durable = true;
  }
  for (let at = 0; at < content.length; at += SECTOR) {
    const sector = Buffer.from(content.buffer, content.byteOffset + at, SECTOR);
    let allowed = [initial.subarray(at, at + SECTOR)];
    for (const { offset, values, durable, maybe } of changes) {
      if (offset > at || at >= offset + values.length) continue;
      const value = values.subarray(at - offset, at - offset + SECTOR);
      // Requests on the same bytes follow each other: a durable one replaces all before it.
      allowed = durable && !maybe ? [value] : [...allowed, value];
    }
    if (!allowed.some(value => sector.equals(value))) {
      throw new Error(`The sector at ${at} holds what was neither flushed nor written since`);
    }
  }
}
