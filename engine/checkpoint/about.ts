// What a checkpoint says beside its pages, as versioned tables (STYLE 5). All of it may come from anyone.
import { bool, bytesOf, choice, list, optional, struct, text, u8, u32, u53 } from '../state/kinds.ts';
import { refuseState, type StateOf, section } from '../state/section.ts';

export const LONGEST_NAME = 200;
export const LONGEST_NOTE = 16_384;

/** What a person wants to know. Name and note are those of the moment; the tree has the present ones. */
export const aboutTable = section(
  'about',
  { version: 1, oldest: 1 },
  {
    name: text(LONGEST_NAME),
    note: text(LONGEST_NOTE),
    /** Milliseconds since 1970 by the host's clock, at the moment. */
    takenAt: u53,
    /** Whether a person asked for it or a schedule did. */
    origin: choice('manual', 'automatic'),
    /** Time the harts did not execute. */
    pauseMicroseconds: u53,
    pendingRequests: u32,
    /** The machine's settings as JSON, for a person and for import; not trusted by anything. */
    machine: text(65_536),
    /** The program that wrote it. */
    writer: text(100),
  },
);
export type About = StateOf<typeof aboutTable>;

/** Which disk file each disk stood on at the moment. */
export const disksTable = section(
  'disks',
  { version: 1, oldest: 1 },
  {
    disks: list(
      struct({
        /** The device it is attached to. */
        device: text(64),
        /** Relative to the machine's folder; absent when the content is in this file. */
        layer: optional(text(1024)),
        format: choice('raw', 'qcow2'),
        size: u53,
        /** The checkpoint's own copy, not the frozen layer of the machine (C12). */
        ownCopy: bool,
        /** Writes are dropped when the machine is turned off (B6). */
        temporary: bool,
        /** Space of this file that has the content. */
        space: optional(u8),
      }),
      32,
    ),
  },
);
export type Disks = StateOf<typeof disksTable>;

/** How each request ended that was pending at the moment: a restored machine is told so. */
export const requestsTable = section(
  'requests',
  { version: 1, oldest: 1 },
  { requests: list(struct({ device: text(64), tag: u53, status: u8 }), 65_536) },
);
export type Requests = StateOf<typeof requestsTable>;

/** Runs of pages of memory in the order of first use. */
export const workingSetTable = section(
  'working-set',
  { version: 1, oldest: 1 },
  { runs: list(struct({ first: u32, count: u32 }), 2 ** 18) },
);
export type WorkingSet = StateOf<typeof workingSetTable>;

/** The console as text and, per cell, the colours as the console encodes them. */
export const screenTable = section(
  'screen',
  { version: 1, oldest: 1 },
  { columns: u32, rows: u32, lines: list(text(4096), 500), palette: optional(bytesOf(48)) },
);
export type Screen = StateOf<typeof screenTable>;

/** Refuses layer paths that lead out of the machine's folder. @throws AfterimageError `corrupt` */
export function checkDisks(disks: Disks): Disks {
  for (const { layer } of disks.disks) {
    if (layer === undefined) continue;
    const inside = layer !== '' && layer.split('/').every(part => part !== '' && part !== '.' && part !== '..');
    if (!inside || /[\\:\0]/.test(layer)) refuseState(disksTable, 'layer', 'leads out of the machine’s folder');
  }
  return disks;
}
