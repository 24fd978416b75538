import { AfterimageError } from '../base/errors.ts';

/** Single-letter extensions in the order of the unprivileged specification's naming chapter (table 88). */
const LETTERS = 'imafdgqlcbkjtpvnh';
const EXTENSION = /^([a-z]|[sxz][a-z0-9]+)$/;

/**
 * Extensions in canonical order: single letters, then Z by the letter that follows, then S, then X; the rest
 * alphabetical.
 */
export function canonicalExtensions(extensions: readonly string[]): readonly string[] {
  for (const name of extensions) {
    if (!EXTENSION.test(name) || (name.length === 1 && !LETTERS.includes(name))) {
      throw new AfterimageError('internal', `There is no RISC-V extension named ${JSON.stringify(name)}`);
    }
  }
  if (new Set(extensions).size !== extensions.length || !extensions.includes('i')) {
    throw new AfterimageError('internal', 'Extensions are listed twice or lack the base i', {
      extensions: extensions.join(' '),
    });
  }
  return extensions.toSorted((a, b) => {
    const keyA = sortKey(a);
    const keyB = sortKey(b);
    return keyA < keyB ? -1 : Number(keyA > keyB);
  });
}

/** What `riscv,isa` in the device tree and the command line's `--version --json` say, e.g. `rv64imafdc_zicsr_sstc`. */
export function isaString(extensions: readonly string[]): string {
  const ordered = canonicalExtensions(extensions);
  const letters = ordered.filter(name => name.length === 1);
  const named = ordered.filter(name => name.length > 1);
  return [`rv64${letters.join('')}`, ...named].join('_');
}

/** Text that sorts as the extensions do: group, position in the group, name. */
function sortKey(name: string): string {
  const position = (letter: string): string => String.fromCharCode(97 + LETTERS.indexOf(letter) + 1);
  if (name.length === 1) return `0${position(name)}`;
  if (name.startsWith('z')) return `1${position(name.charAt(1))}${name}`;
  return name.startsWith('s') ? `2${name}` : `3${name}`;
}
