// Makes kernel modules small: Debian's carry a signature, type information and every local label of the assembler, which
// for ext4 is five of seven megabytes. The kernel walks all of it at each load.
import {
  type ModuleFile,
  RELA_SIZE,
  readModule,
  type Section,
  SHF_INFO_LINK,
  SHF_LINK_ORDER,
  SHN_LORESERVE,
  SHT_GROUP,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  SYMBOL_SIZE,
  stringAt,
  view,
  writeModule,
} from './elf.ts';

/** Sections that no part of the loader needs: types for BPF, compiler versions, debug information. */
const DROPPED = /^(\.rela)?\.(BTF|comment|note\.GNU-stack|debug.*)$/;

const STT_FUNC = 2;

/** The module without what the loader does not need. Functions keep their names, for the traces of an oops. */
export function stripModule(file: Uint8Array): Uint8Array {
  const module = readModule(file);
  // Both hold numbers of sections or symbols inside their data; the kernel's modules have neither.
  if (module.sections.some(({ type }) => type === SHT_GROUP || type === SHT_SYMTAB_SHNDX)) return file;
  const numbers = new Map<number, number>();
  const kept = module.sections.filter((section, index) => {
    const keeps = !DROPPED.test(section.name);
    if (keeps) numbers.set(index, numbers.size);
    return keeps;
  });
  const symbols = selectSymbols(module, kept, numbers);
  const sections = kept.map(section => renumber(replaceData(section, module, symbols), numbers));
  return writeModule({ ...module, sections, sectionNames: numbers.get(module.sectionNames) ?? 0 });
}

interface Symbols {
  readonly table: Section | undefined;
  readonly tableData: Uint8Array;
  readonly names: Section | undefined;
  readonly namesData: Uint8Array;
  readonly firstGlobal: number;
  /** New number of each kept symbol. */
  readonly numbers: ReadonlyMap<number, number>;
}

/** Keeps what relocations point at, what other modules may see, and functions; the ABI wants locals first. */
function selectSymbols(module: ModuleFile, kept: readonly Section[], sections: ReadonlyMap<number, number>): Symbols {
  const table = module.sections.find(section => section.type === SHT_SYMTAB);
  const names = table && module.sections[table.link];
  const used = new Set<number>();
  for (const section of kept) {
    if (section.type !== SHT_RELA) continue;
    const bytes = view(section.data);
    for (let at = 0; at + RELA_SIZE <= section.data.length; at += RELA_SIZE) used.add(bytes.getUint32(at + 12, true));
  }
  const old = table?.data ?? new Uint8Array();
  const bytes = view(old);
  const strings = new StringTable();
  const chosen: Uint8Array[] = [new Uint8Array(SYMBOL_SIZE)];
  const numbers = new Map([[0, 0]]);
  let firstGlobal = 1;
  for (let index = 1; (index + 1) * SYMBOL_SIZE <= old.length; index += 1) {
    const at = index * SYMBOL_SIZE;
    const info = bytes.getUint8(at + 4);
    const isLocal = info >> 4 === 0;
    const place = bytes.getUint16(at + 6, true);
    const newPlace = place === 0 || place >= SHN_LORESERVE ? place : sections.get(place);
    if (newPlace === undefined || (isLocal && (info & 15) !== STT_FUNC && !used.has(index))) continue;
    const name = stringAt(names?.data ?? old, bytes.getUint32(at, true));
    const symbol = new Uint8Array(old.subarray(at, at + SYMBOL_SIZE));
    // The assembler's labels are found by number only.
    view(symbol).setUint32(0, isLocal && name.startsWith('.L') ? 0 : strings.add(name), true);
    view(symbol).setUint16(6, newPlace, true);
    numbers.set(index, chosen.length);
    chosen.push(symbol);
    if (isLocal) firstGlobal = chosen.length;
  }
  return { table, tableData: Buffer.concat(chosen), names, namesData: strings.data(), firstGlobal, numbers };
}

function replaceData(section: Section, module: ModuleFile, symbols: Symbols): Section {
  if (section === symbols.table) return { ...section, data: symbols.tableData, info: symbols.firstGlobal };
  const isSectionNames = section === module.sections[module.sectionNames];
  if (section === symbols.names && section.type === SHT_STRTAB && !isSectionNames) {
    return { ...section, data: symbols.namesData };
  }
  if (section.type !== SHT_RELA) return section;
  const data = new Uint8Array(section.data);
  const bytes = view(data);
  for (let at = 0; at + RELA_SIZE <= data.length; at += RELA_SIZE) {
    bytes.setUint32(at + 12, symbols.numbers.get(bytes.getUint32(at + 12, true)) ?? 0, true);
  }
  return { ...section, data };
}

/** Numbers of sections inside section headers: the table a section goes with and the section it is about. */
function renumber(section: Section, numbers: ReadonlyMap<number, number>): Section {
  const namesSection = section.type === SHT_RELA || (section.flags & SHF_INFO_LINK) !== 0;
  const link = numbers.get(section.link) ?? 0;
  return {
    ...section,
    link: (section.flags & SHF_LINK_ORDER) !== 0 || section.link !== 0 ? link : 0,
    info: namesSection ? (numbers.get(section.info) ?? 0) : section.info,
  };
}

/** A string table that holds each name once. Offset 0 is the empty name. */
class StringTable {
  readonly #parts: Uint8Array[] = [new Uint8Array(1)];
  readonly #offsets = new Map<string, number>([['', 0]]);
  #size = 1;

  add(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.#size;
    const bytes = Buffer.from(`${name}\0`, 'latin1');
    this.#parts.push(bytes);
    this.#size += bytes.length;
    this.#offsets.set(name, offset);
    return offset;
  }

  data(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}
