/** Longest name of a machine's folder; room is left for a number, and for sockets below it. */
const LONGEST = 48;
/** Names of devices that Windows does not let be folders. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/;

/** A machine's name as the name of its folder: safe on every file system, and still to be recognized by a person. */
export function slugOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    // Accents that the normalization has split off.
    .replaceAll(/\p{M}+/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    // A leading dot would hide it, a final one Windows drops.
    .replaceAll(/^[-._]+|[-._]+$/g, '')
    .slice(0, LONGEST)
    .replace(/[-._]+$/, '');
  if (plain === '') return 'machine';
  return RESERVED.test(plain) ? `machine-${plain}` : plain;
}
