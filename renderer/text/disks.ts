// Texts of the disk view. Numbers, sizes and times arrive formatted.
import type { DiskJobKind } from '../../engine/api/control.ts';

interface ActionText {
  readonly name: string;
  /** One line: what it is for. */
  readonly purpose: string;
  readonly title: (layer: string) => string;
  readonly confirm: string;
}

const ACTIONS: Readonly<Record<DiskJobKind, ActionText>> = {
  overlay: {
    name: 'New overlay',
    purpose: 'Freezes the active layer; what the guest writes from now on goes to a new one.',
    title: layer => `New overlay on ${layer}`,
    confirm: 'Add the overlay',
  },
  commit: {
    name: 'Commit',
    purpose: 'Writes what this layer holds into the one below, and removes this layer.',
    title: layer => `Commit ${layer}`,
    confirm: 'Commit',
  },
  stream: {
    name: 'Stream',
    purpose: 'Copies what this layer takes from below into it, so that it stands alone.',
    title: layer => `Stream into ${layer}`,
    confirm: 'Stream',
  },
  compact: {
    name: 'Compact',
    purpose: 'Rewrites the file without clusters that hold nothing.',
    title: layer => `Compact ${layer}`,
    confirm: 'Compact',
  },
  check: {
    name: 'Check',
    purpose: 'Reads the tables of the file and tells what is wrong with them.',
    title: layer => `Check ${layer}`,
    confirm: 'Check',
  },
  resize: {
    name: 'Resize',
    purpose: 'Makes the disk larger or smaller, as the guest sees it.',
    title: layer => `Resize ${layer}`,
    confirm: 'Resize',
  },
  delete: {
    name: 'Delete',
    purpose: 'Deletes the file: no checkpoint and no disk of the machine needs it.',
    title: layer => `Delete ${layer}`,
    confirm: 'Delete',
  },
};

function layers(count: number): string {
  return count === 1 ? '1 layer' : `${count} layers`;
}

export const DISKS_TEXT = {
  label: 'Disks',
  empty: {
    title: 'This machine has no disks',
    text: 'It runs from memory alone: what the guest writes is gone when it is powered off. Checkpoints hold its memory all the same.',
  },
  loading: 'Reading the disks',
  failed: 'The disks could not be read',
  again: 'Try again',
  modes: {
    persistent: { name: 'Persistent', explained: 'What the guest writes stays' },
    temporary: { name: 'Temporary', explained: 'What the guest writes is dropped at power-off' },
    readonly: { name: 'Read only', explained: 'The guest cannot write' },
  },
  summary: (size: string, allocated: string, count: number) => `${size} · ${allocated} allocated in ${layers(count)}`,
  /** As its files are called. */
  hostName: (disk: number) => `disk${disk}`,
  hostNameExplained: (device: string) => `Called so in the names of its files; the guest calls it ${device}`,
  unneededTotal: (size: string) => `${size} in layers that nobody needs`,
  /** Only what is absent: what is there needs no word. */
  host: {
    discard:
      'The file system of the host cannot take back room that a guest gives up: it stays in the files and is used again.',
    reflink: 'The file system of the host cannot share storage between copies: copies of layers are made byte by byte.',
  },
  layersOf: (device: string) => `Layers of ${device}`,
  columns: { layer: 'Layer', allocated: 'On the host', ranges: 'Allocated ranges', needed: 'Needed by' },
  keys: 'Arrow keys move between layers, Enter opens the actions.',
  layer: {
    active: 'Active',
    activeExplained: 'The guest writes here',
    frozen: 'Frozen',
    frozenExplained: 'Read, but not written any more',
    unneeded: 'Not needed',
    unneededExplained: 'No machine, checkpoint, job or other layer needs it; it only takes room',
    base: 'stands alone',
    on: (backing: string) => `on ${backing}`,
    missing: (backing: string) => `on ${backing}, which is missing`,
    allocated: (allocated: string, size: string) => `${allocated} of ${size}`,
    bar: (allocated: string, size: string) => `${allocated} allocated of ${size}`,
    overlays: 'Layers on top',
  },
  needs: {
    label: 'Needed by',
    nobody: 'Nobody',
    nothing: 'Nothing',
    machine: 'This machine',
    checkpoint: (name: string) => name,
    unnamedCheckpoint: 'A checkpoint',
    job: (number: string) => `Job ${number}`,
    more: (count: number) => `${count} more`,
    indirect: 'through a layer on top',
    showCheckpoint: (name: string) => `Show ${name} in the tree`,
  },
  map: {
    label: 'Allocated ranges',
    of: (layer: string) => `Allocated ranges of ${layer}`,
    kinds: { data: 'Data', zero: 'Zeroes', compressed: 'Compressed', none: 'From below' },
    noneAtBase: 'Nothing',
    range: (kind: string, start: string, end: string) => `${kind}: ${start} to ${end}`,
    failed: 'The ranges could not be read',
    loading: 'Reading the ranges',
    more: 'More room than this picture can show: small gaps are closed',
  },
  details: {
    label: 'Details of the layer',
    close: 'Close the details',
    none: 'Select a layer to see what it holds and who needs it.',
    file: 'File',
    format: 'Format',
    size: 'Guest sees',
    allocated: 'On the host',
    backing: 'Stands on',
    actions: 'Actions',
  },
  actions: ACTIONS,
  actionsOf: (layer: string) => `Actions for ${layer}`,
  refused: (reason: string) => `Not possible: ${reason}.`,
  job: {
    preview: 'What this does',
    previewing: 'Finding out what it will do',
    previewFailed: 'It could not be found out what this will do',
    copies: 'To be copied',
    frees: 'Room given back',
    nothing: 'None',
    running: 'The machine can run meanwhile. You can cancel at any time; the disk stays as it is then.',
    compress: 'Compress clusters',
    compressHint: 'Takes longer, and reads cost more; the file becomes smaller.',
    repair: 'Repair what can be repaired',
    repairHint: 'Without it nothing is written.',
    size: 'New size',
    sizeHint: 'For example 20 GiB. The guest has to enlarge its partition and file system itself.',
    sizeProblem: 'Not a size that a disk can have',
    shrink: 'Smaller than it is: what lies beyond the new end is lost.',
    limit: 'Speed limit',
    unlimited: 'As fast as it can',
    perSecond: (size: string) => `${size} per second`,
    cancel: 'Cancel',
    failed: 'The job could not be started',
    started: (name: string, layer: string) => `${name} of ${layer} has begun`,
  },
  jobs: {
    label: (device: string) => `Jobs on ${device}`,
  },
} as const;
