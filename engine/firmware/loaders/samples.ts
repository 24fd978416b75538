// Small whole files of the kinds that the loaders read, for tests to take apart.

import { PE_MACHINE_RISCV64 } from './architectures.ts';

export interface ImageOptions {
  /** Bytes of the file. */
  readonly size?: number;
  readonly imageSize?: number;
  readonly textOffset?: number;
  readonly flags?: number;
  readonly version?: number;
  /** Machine of the PE header; without one the image is plain. */
  readonly peMachine?: number;
  /** Where the PE header says that the last section ends. */
  readonly sectionsEnd?: number;
}

/** A RISC-V Linux `Image`. */
export function linuxImage(options: ImageOptions = {}): Uint8Array {
  const size = options.size ?? 0x3000;
  const bytes = new Uint8Array(size).fill(0x13);
  const view = new DataView(bytes.buffer);
  bytes.fill(0, 0, 0x200);
  // c.li s4, -13 is what `MZ` means to a hart; a jump otherwise.
  ascii(bytes, 0, options.peMachine === undefined ? 'o\x10\0\0' : 'MZ');
  view.setBigUint64(0x08, BigInt(options.textOffset ?? 0x20_0000), true);
  view.setBigUint64(0x10, BigInt(options.imageSize ?? size + 0x1000), true);
  view.setBigUint64(0x18, BigInt(options.flags ?? 0), true);
  view.setUint32(0x20, options.version ?? 2, true);
  ascii(bytes, 0x30, 'RISCV');
  ascii(bytes, 0x38, 'RSC\x05');
  if (options.peMachine !== undefined) addPeHeader(view, 0x40, options.peMachine, options.sectionsEnd ?? size);
  return bytes;
}

/** An EFI program for the given machine, with nothing of Linux in it. */
export function efiProgram(machine: number): Uint8Array {
  const bytes = new Uint8Array(0x400);
  ascii(bytes, 0, 'MZ');
  addPeHeader(new DataView(bytes.buffer), 0x80, machine, 0x400);
  return bytes;
}

/** A self-decompressing EFI kernel. */
export function zbootKernel(payload: Uint8Array, machine = PE_MACHINE_RISCV64): Uint8Array {
  const bytes = new Uint8Array(0x400 + payload.length + 4);
  const view = new DataView(bytes.buffer);
  ascii(bytes, 0, 'MZ\0\0zimg');
  view.setUint32(8, 0x400, true);
  view.setUint32(12, payload.length, true);
  ascii(bytes, 24, 'gzip');
  addPeHeader(view, 0x40, machine, bytes.length);
  bytes.set(payload, 0x400);
  return bytes;
}

export interface ElfSegment {
  readonly virtual: bigint;
  readonly physical?: bigint;
  readonly bytes: Uint8Array;
  readonly memorySize?: number;
}

export interface ElfOptions {
  readonly segments: readonly ElfSegment[];
  readonly entry?: bigint;
  readonly type?: number;
  readonly machine?: number;
  readonly flags?: number;
  /** Values by name; undefined for symbols that are used and not defined. */
  readonly symbols?: Readonly<Record<string, bigint | undefined>>;
}

/** An ELF64 file: header, program headers, segments; then symbols, names and section headers if there are symbols. */
export function elfFile(options: ElfOptions): Uint8Array {
  const { segments } = options;
  const symbols = Object.entries(options.symbols ?? {});
  const names = `\0${symbols.map(([name]) => `${name}\0`).join('')}`;
  const contentAt = 64 + segments.length * 56;
  const symbolsAt = contentAt + segments.reduce((sum, segment) => sum + segment.bytes.length, 0);
  const namesAt = symbolsAt + (symbols.length + 1) * 24;
  const sectionsAt = namesAt + names.length;
  const bytes = new Uint8Array(symbols.length === 0 ? symbolsAt : sectionsAt + 3 * 64);
  const view = new DataView(bytes.buffer);
  ascii(bytes, 0, '\x7fELF\x02\x01\x01');
  view.setUint16(16, options.type ?? 2, true);
  view.setUint16(18, options.machine ?? 243, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, options.entry ?? segments[0]?.virtual ?? 0n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint32(48, options.flags ?? 5, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  let content = contentAt;
  for (const [index, segment] of segments.entries()) {
    const header = 64 + index * 56;
    view.setUint32(header, 1, true);
    view.setUint32(header + 4, 7, true);
    view.setBigUint64(header + 8, BigInt(content), true);
    view.setBigUint64(header + 16, segment.virtual, true);
    view.setBigUint64(header + 24, segment.physical ?? segment.virtual, true);
    view.setBigUint64(header + 32, BigInt(segment.bytes.length), true);
    view.setBigUint64(header + 40, BigInt(segment.memorySize ?? segment.bytes.length), true);
    bytes.set(segment.bytes, content);
    content += segment.bytes.length;
  }
  if (symbols.length === 0) return bytes;
  let name = 1;
  for (const [index, [text, value]] of symbols.entries()) {
    const symbol = symbolsAt + (index + 1) * 24;
    view.setUint32(symbol, name, true);
    view.setUint16(symbol + 6, value === undefined ? 0 : 1, true);
    view.setBigUint64(symbol + 8, value ?? 0n, true);
    name += text.length + 1;
  }
  ascii(bytes, namesAt, names);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 3, true);
  addSection(view, sectionsAt + 64, { type: 2, at: symbolsAt, size: namesAt - symbolsAt, link: 2 });
  addSection(view, sectionsAt + 128, { type: 3, at: namesAt, size: names.length, link: 0 });
  return bytes;
}

/** A generator of 32-bit numbers that gives the same ones for the same seed (xorshift). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return below => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function addPeHeader(view: DataView, at: number, machine: number, sectionsEnd: number): void {
  const bytes = new Uint8Array(view.buffer);
  view.setUint32(0x3c, at, true);
  ascii(bytes, at, 'PE\0\0');
  view.setUint16(at + 4, machine, true);
  view.setUint16(at + 6, 1, true);
  view.setUint16(at + 20, 0x20, true);
  const section = at + 24 + 0x20;
  ascii(bytes, section, '.text');
  view.setUint32(section + 16, sectionsEnd - 0x100, true);
  view.setUint32(section + 20, 0x100, true);
}

function addSection(
  view: DataView,
  header: number,
  section: { type: number; at: number; size: number; link: number },
): void {
  view.setUint32(header + 4, section.type, true);
  view.setBigUint64(header + 24, BigInt(section.at), true);
  view.setBigUint64(header + 32, BigInt(section.size), true);
  view.setUint32(header + 40, section.link, true);
}

function ascii(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i += 1) bytes[at + i] = text.charCodeAt(i);
}
