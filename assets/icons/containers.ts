// The files in which Windows and macOS keep an icon's sizes. Both hold PNG images as they are.

export interface SizedImage {
  /** Width and height. */
  readonly pixels: number;
  readonly png: Uint8Array;
}

const ICO_HEADER = 6;
const ICO_ENTRY = 16;

/** Windows: a directory of at most 256 × 256 pixels, then the images. */
export function icoFile(images: readonly SizedImage[]): Uint8Array {
  const directory = Buffer.alloc(ICO_HEADER + ICO_ENTRY * images.length);
  directory.writeUInt16LE(1, 2);
  directory.writeUInt16LE(images.length, 4);
  let offset = directory.length;
  for (const [index, { pixels, png }] of images.entries()) {
    const entry = ICO_HEADER + ICO_ENTRY * index;
    // 0 stands for 256.
    directory.writeUInt8(pixels % 256, entry);
    directory.writeUInt8(pixels % 256, entry + 1);
    directory.writeUInt16LE(1, entry + 4);
    directory.writeUInt16LE(32, entry + 6);
    directory.writeUInt32LE(png.length, entry + 8);
    directory.writeUInt32LE(offset, entry + 12);
    offset += png.length;
  }
  return Buffer.concat([directory, ...images.map(({ png }) => png)]);
}

/** Names that macOS has for sizes in pixels. */
const ICNS_TYPES: Readonly<Record<number, string>> = {
  16: 'icp4',
  32: 'icp5',
  64: 'icp6',
  128: 'ic07',
  256: 'ic08',
  512: 'ic09',
  1024: 'ic10',
};

/** macOS: named chunks with their length, which counts its own eight bytes. */
export function icnsFile(images: readonly SizedImage[]): Uint8Array {
  const chunks = images.map(({ pixels, png }) => {
    const head = Buffer.alloc(8);
    head.write(ICNS_TYPES[pixels] ?? '', 0, 'latin1');
    head.writeUInt32BE(png.length + 8, 4);
    return Buffer.concat([head, png]);
  });
  const body = Buffer.concat(chunks);
  const head = Buffer.alloc(8);
  head.write('icns', 0, 'latin1');
  head.writeUInt32BE(body.length + 8, 4);
  return Buffer.concat([head, body]);
}
