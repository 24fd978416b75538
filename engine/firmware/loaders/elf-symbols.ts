import { fits, u16, u32, u53, u64 } from '../bytes.ts';
import { type FileRole, type GuestFile, refuse } from './plan.ts';

const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const SECTION_SYMBOLS = 2;
/** A symbol with this section index is used here and defined elsewhere. */
const UNDEFINED = 0;

interface SectionRange {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  /** For a symbol table, the index of its names. */
  readonly link: number;
}

/**
 * The values of those of `wanted` that the symbol table defines; the first definition counts. The file's ELF header
 * has been checked. A stripped file has no symbols; damaged tables are `corrupt`.
 */
export function findSymbols(file: GuestFile, role: FileRole, wanted: readonly string[]): Map<string, bigint> {
  const { bytes } = file;
  const found = new Map<string, bigint>();
  const sections = readSections(file, role);
  const symbols = sections.find(section => section.type === SECTION_SYMBOLS);
  if (symbols === undefined) return found;
  const names = sections[symbols.link];
  for (const table of [symbols, names]) {
    if (table === undefined || !fits(bytes, table.offset, table.size)) {
      refuse(file, role, 'corrupt', { reason: 'its symbol table lies outside it', advice: 'copy or build it again' });
    }
  }
  const encoded = wanted.map(name => [name, new TextEncoder().encode(`${name}\0`)] as const);
  const nameBytes = bytes.subarray(names!.offset, names!.offset + names!.size);
  const end = symbols.offset + symbols.size;
  for (let at = symbols.offset; at + SYMBOL_SIZE <= end; at += SYMBOL_SIZE) {
    if (u16(bytes, at + 6) === UNDEFINED) continue;
    const nameAt = u32(bytes, at);
    for (const [name, text] of encoded) {
      if (!found.has(name) && matches(nameBytes, nameAt, text)) found.set(name, u64(bytes, at + 8));
    }
  }
  return found;
}

function readSections(file: GuestFile, role: FileRole): readonly SectionRange[] {
  const { bytes } = file;
  const table = u53(bytes, 40);
  const count = u16(bytes, 60);
  if (table === 0 || count === 0) return [];
  if (u16(bytes, 58) !== SECTION_HEADER_SIZE || !fits(bytes, table, count * SECTION_HEADER_SIZE)) {
    refuse(file, role, 'corrupt', { reason: 'its section headers lie outside it', advice: 'copy or build it again' });
  }
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * SECTION_HEADER_SIZE;
    return {
      type: u32(bytes, at + 4),
      offset: u53(bytes, at + 24),
      size: u53(bytes, at + 32),
      link: u32(bytes, at + 40),
    };
  });
}

function matches(names: Uint8Array, at: number, text: Uint8Array): boolean {
  if (!fits(names, at, text.length)) return false;
  for (let i = 0; i < text.length; i += 1) if (names[at + i] !== text[i]) return false;
  return true;
}
