// Takes files out of Debian packages with dpkg-deb, which every machine with apt has and which knows every compression.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { stream } from './process.ts';
import { type TarEntry, TarReader } from './tar.ts';

/** The files and links of one package, by their path inside it. */
export type PackageFiles = ReadonlyMap<string, TarEntry>;

export async function readPackage(
  file: string,
  wanted: (path: string) => boolean,
  signal?: AbortSignal,
): Promise<PackageFiles> {
  const entries = new Map<string, TarEntry>();
  const reader = new TarReader(wanted, entry => entries.set(entry.path, entry));
  await stream('dpkg-deb', ['--fsys-tarfile', file], { signal }, chunk => reader.write(chunk));
  reader.end();
  return entries;
}

/** The bytes of a file, through links that stay inside the package. */
export function fileData(files: PackageFiles, name: string): Uint8Array {
  let at = name;
  // More than a few links in a row is a circle.
  for (let depth = 0; depth < 8; depth += 1) {
    const entry = files.get(at);
    if (entry === undefined) break;
    if (entry.kind === 'file') return entry.data;
    at =
      entry.kind === 'hard-link'
        ? entry.target.replace(/^\.?\/+/, '')
        : path.posix.join(path.posix.dirname(at), entry.target);
  }
  throw new AfterimageError('corrupt', `The Debian package has no file ${name}`, { name });
}

/**
 * Decompresses xz data. Neither node nor a small Debian system has a program for it, but dpkg-deb does it for packages
 * and never looks at what is inside, so the data travels as the contents of a package made up for the purpose.
 */
export async function decompressXz(data: Uint8Array, workFolder: string, signal?: AbortSignal): Promise<Uint8Array> {
  const file = path.join(workFolder, 'compressed.deb');
  const members: [string, Uint8Array][] = [
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar', new Uint8Array(1024)],
    ['data.tar.xz', data],
  ];
  await writeFile(file, Buffer.concat([Buffer.from('!<arch>\n'), ...members.flatMap(member => arMember(...member))]));
  const chunks: Uint8Array[] = [];
  await stream('dpkg-deb', ['--fsys-tarfile', file], { signal }, chunk => {
    chunks.push(chunk);
  });
  return Buffer.concat(chunks);
}

/** A member of an ar archive (deb(5)): a 60-byte text header and the data, padded to an even length. */
function arMember(name: string, data: Uint8Array): Uint8Array[] {
  const field = (value: string | number, width: number) => String(value).padEnd(width);
  const header = `${field(name, 16)}${field(0, 12)}${field(0, 6)}${field(0, 6)}${field('100644', 8)}${field(data.length, 10)}\`\n`;
  return [Buffer.from(header), data, ...(data.length % 2 === 1 ? [Buffer.from('\n')] : [])];
}
