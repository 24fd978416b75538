// Words that more than one view uses. All texts of the app are in this folder; none is put together from pieces that
// another language would order otherwise, but by functions of whole sentences.
import type { MachineState } from '../../engine/api/machine.ts';

export const COMMON = {
  product: 'Afterimage',
  cancel: 'Cancel',
  close: 'Close',
  undo: 'Undo',
  show: 'Show',
  copy: 'Copy',
  copied: 'Copied',
  loading: 'Loading…',
  more: 'More actions',
  optional: 'Optional',
} as const;

export const STATES: Readonly<Record<MachineState | 'suspended', string>> = {
  off: 'Off',
  starting: 'Starting',
  running: 'Running',
  paused: 'Paused',
  stopping: 'Stopping',
  failed: 'Failed',
  suspended: 'Suspended',
};

export const PAUSED_BY = {
  wish: 'Paused by you. The guest stands still between two instructions.',
  'disk-full': 'The host’s disk is full. The machine waits and goes on as soon as there is room; nothing is lost.',
  page: 'A page of memory cannot be read from the checkpoint’s file. The machine waits until it can.',
} as const;
