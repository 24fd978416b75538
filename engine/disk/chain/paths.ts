// Which names of backing files are followed (REQUIREMENTS P5, DESIGN 6). A name comes out of an image, so it may be
// anyone's: only a plain relative path that stays below the folder of the image itself is accepted.
import { AfterimageError } from '../../base/errors.ts';

/** Names that Windows takes for devices wherever they stand, also with an extension. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
const LONGEST_PATH = 4096;

/**
 * The path in the folder of the backing file that `overlay` calls `name`.
 * Errors: `denied` with the reason, for everything that is not a plain relative path.
 */
export function backingPath(overlay: string, name: string): string {
  const reason = reasonAgainst(name);
  if (reason !== undefined) {
    const context = { file: overlay, backing: name, during: 'open backing file' };
    throw new AfterimageError(
      'denied',
      `The backing file’s name is refused: ${reason}; it must be a plain name in the image’s folder`,
      context,
    );
  }
  const parts = name.split('/').filter(part => part !== '.');
  return [...overlay.split('/').slice(0, -1), ...parts].join('/');
}

/** The name under which `overlay` must record `backing`: the reverse of `backingPath`. */
export function backingName(overlay: string, backing: string): string {
  const folder = overlay.split('/').slice(0, -1);
  const parts = backing.split('/');
  if (folder.some((part, index) => parts[index] !== part) || parts.length <= folder.length) {
    throw new AfterimageError('denied', 'A backing file must be in the folder of the image or below it', {
      file: overlay,
      backing,
    });
  }
  const name = parts.slice(folder.length).join('/');
  backingPath(overlay, name);
  return name;
}

function reasonAgainst(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.length > LONGEST_PATH) return 'it is too long';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'it has control characters';
  if (name.startsWith('json:')) return 'it is a JSON description, not a file';
  if (name.startsWith('/') || name.startsWith('\\') || /^[a-z]:[\\/]/i.test(name)) return 'it is an absolute path';
  if (/^[^/]*:/.test(name)) return 'it is a URL or names a protocol';
  if (name.includes('\\')) return 'it has backslashes';
  const parts = name.split('/');
  if (parts.includes('..')) return 'it leaves the folder of the image';
  if (parts.includes('')) return 'it has an empty part';
  if (parts.every(part => part === '.')) return 'it is a folder';
  if (parts.some(part => DEVICE.test(part))) return 'it is the name of a device';
  return undefined;
}
