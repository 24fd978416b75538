// The parts of ELF64 (System V ABI, "Object Files") that a kernel module needs: sections, symbols, relocations.
import { AfterimageError } from '../../engine/base/errors.ts';

export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_NOBITS = 8;
export const SHT_GROUP = 17;
export const SHT_SYMTAB_SHNDX = 18;
export const SHF_ALLOC = 0x2;
export const SHF_INFO_LINK = 0x40;
export const SHF_LINK_ORDER = 0x80;
export const SHN_LORESERVE = 0xff00;
export const HEADER_SIZE = 64;
export const SECTION_HEADER_SIZE = 64;
export const SYMBOL_SIZE = 24;
export const RELA_SIZE = 24;

const ET_REL = 1;
const EM_RISCV = 243;

export interface Section {
  readonly name: string;
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  /** Contents; empty for SHT_NOBITS, whose `size` is what it takes in memory. */
  readonly data: Uint8Array;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
}

export interface ModuleFile {
  /** The ELF header as found; the writer changes only where the section table is. */
  readonly header: Uint8Array;
  readonly sections: readonly Section[];
  readonly sectionNames: number;
}

function damaged(what: string): AfterimageError {
  return new AfterimageError('corrupt', `The kernel module is damaged: ${what}`);
}

export function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/** The text at an offset of a string table. */
export function stringAt(table: Uint8Array, offset: number): string {
  const end = table.indexOf(0, offset);
  if (offset >= table.length || end < 0) throw damaged('a name lies outside its table');
  return Buffer.from(table.subarray(offset, end)).toString('latin1');
}

/** Reads a relocatable RISC-V file; bytes after the section table, such as a signature, are not part of it. */
export function readModule(file: Uint8Array): ModuleFile {
  const bytes = view(file);
  if (file.length < HEADER_SIZE || bytes.getUint32(0) !== 0x7f454c46) throw damaged('it is not an ELF file');
  if (
    file[4] !== 2 ||
    file[5] !== 1 ||
    bytes.getUint16(16, true) !== ET_REL ||
    bytes.getUint16(18, true) !== EM_RISCV
  ) {
    throw damaged('it is not a relocatable file for 64-bit RISC-V');
  }
  const table = Number(bytes.getBigUint64(40, true));
  const count = bytes.getUint16(60, true);
  const sectionNames = bytes.getUint16(62, true);
  if (bytes.getUint16(58, true) !== SECTION_HEADER_SIZE || count === 0 || sectionNames >= count) {
    throw damaged('its header contradicts itself');
  }
  if (table + count * SECTION_HEADER_SIZE > file.length) throw damaged('its section table is cut off');
  const raw = Array.from({ length: count }, (_, index) => rawSection(file, table + index * SECTION_HEADER_SIZE));
  const names = raw[sectionNames]!.data;
  const sections = raw.map((section, index) => ({
    ...section,
    name: index === 0 ? '' : stringAt(names, section.nameOffset),
  }));
  for (const section of sections) {
    if (section.link >= count) throw damaged('a section names another that does not exist');
  }
  return { header: file.subarray(0, HEADER_SIZE), sections, sectionNames };
}

function rawSection(file: Uint8Array, at: number): Omit<Section, 'name'> {
  const bytes = view(file.subarray(at, at + SECTION_HEADER_SIZE));
  const number = (offset: number) => Number(bytes.getBigUint64(offset, true));
  const type = bytes.getUint32(4, true);
  const [offset, size] = [number(24), number(32)];
  const stored = type === SHT_NOBITS || type === 0 ? 0 : size;
  if (offset + stored > file.length) throw damaged('a section is cut off');
  return {
    nameOffset: bytes.getUint32(0, true),
    type,
    flags: number(8),
    address: bytes.getBigUint64(16, true),
    data: file.subarray(offset, offset + stored),
    size,
    link: bytes.getUint32(40, true),
    info: bytes.getUint32(44, true),
    alignment: number(48),
    entrySize: number(56),
  };
}

/** The inverse of `readModule`: header, contents in order, section table. */
export function writeModule(module: ModuleFile): Uint8Array {
  const header = Uint8Array.from(module.header);
  const parts: Uint8Array[] = [header];
  let at = HEADER_SIZE;
  const align = (wanted: number) => {
    const alignment = Math.max(1, wanted); // 0 means the same as 1
    const gap = (alignment - (at % alignment)) % alignment;
    parts.push(new Uint8Array(gap));
    at += gap;
  };
  const headers = module.sections.map((section, index) => {
    if (index > 0) align(section.alignment);
    const bytes = sectionHeader(section, index === 0 ? 0 : at);
    parts.push(section.data);
    at += section.data.length;
    return bytes;
  });
  align(8);
  const fields = view(header);
  fields.setBigUint64(40, BigInt(at), true);
  fields.setUint16(60, module.sections.length, true);
  fields.setUint16(62, module.sectionNames, true);
  return Buffer.concat([...parts, ...headers]);
}

function sectionHeader(section: Section, offset: number): Uint8Array {
  const header = new Uint8Array(SECTION_HEADER_SIZE);
  const bytes = view(header);
  bytes.setUint32(0, section.nameOffset, true);
  bytes.setUint32(4, section.type, true);
  bytes.setBigUint64(8, BigInt(section.flags), true);
  bytes.setBigUint64(16, section.address, true);
  bytes.setBigUint64(24, BigInt(offset), true);
  bytes.setBigUint64(32, BigInt(section.type === SHT_NOBITS ? section.size : section.data.length), true);
  bytes.setUint32(40, section.link, true);
  bytes.setUint32(44, section.info, true);
  bytes.setBigUint64(48, BigInt(section.alignment), true);
  bytes.setBigUint64(56, BigInt(section.entrySize), true);
  return header;
}
