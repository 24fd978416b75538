// Which checkpoint another view asks the tree to show when it opens.
import type { Identity } from '../../../engine/api/machine.ts';

let wanted: { readonly machine: Identity; readonly id: Identity } | undefined;

export function wantCheckpoint(machine: Identity, id: Identity): void {
  wanted = { machine, id };
}

/** Told once. */
export function takeWanted(machine: Identity): Identity | undefined {
  if (wanted?.machine !== machine) return undefined;
  const { id } = wanted;
  wanted = undefined;
  return id;
}
