// Kinds of addresses that must not be mixed (STYLE 3). All are non-negative integers below 2^53.

declare const kind: unique symbol;
type Kind<Name extends string> = number & { readonly [kind]: Name };

/** Guest-physical byte address (what the guest's own page tables point at). */
export type GuestPhys = Kind<'guest-physical'>;
/** Byte offset into the shared WebAssembly.Memory: where a frame's bytes really are. */
export type MachineAddress = Kind<'machine'>;
/** Byte offset into a host file. */
export type FileOffset = Kind<'file offset'>;

export const guestPhys = (value: number): GuestPhys => value as GuestPhys;
export const machineAddress = (value: number): MachineAddress => value as MachineAddress;
export const fileOffset = (value: number): FileOffset => value as FileOffset;

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
