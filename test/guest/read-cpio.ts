// Reads "newc" archives for tests, from the format's description and not from the writer.

export interface ReadEntry {
  readonly path: string;
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  readonly time: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly data: Uint8Array;
}

const HEADER = 110;

/** All entries with the trailer; throws if a header is not where it must be or bytes follow the trailer. */
export function readCpio(archive: Uint8Array): ReadEntry[] {
  const bytes = Buffer.from(archive);
  const entries: ReadEntry[] = [];
  let at = 0;
  while (entries.at(-1)?.path !== 'TRAILER!!!') {
    if (bytes.toString('latin1', at, at + 6) !== '070701') throw new Error(`No header at ${at}`);
    const field = (index: number) =>
      Number.parseInt(bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [size, nameSize] = [field(6), field(11)];
    const dataAt = Math.ceil((at + HEADER + nameSize) / 4) * 4;
    entries.push({
      path: bytes.toString('utf8', at + HEADER, at + HEADER + nameSize - 1),
      mode: field(1),
      user: field(2),
      group: field(3),
      time: field(5),
      deviceMajor: field(9),
      deviceMinor: field(10),
      data: bytes.subarray(dataAt, dataAt + size),
    });
    at = Math.ceil((dataAt + size) / 4) * 4;
  }
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes after the trailer`);
  return entries;
}
