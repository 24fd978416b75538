// Makes small kernel modules for tests: relocatable ELF files for RISC-V, byte by byte from the ABI.

export interface TestSymbol {
  readonly name: string;
  readonly isGlobal?: boolean;
  readonly isFunction?: boolean;
  /** Name of the section it lies in; none for one that another module provides. */
  readonly section?: string;
}

export interface TestModule {
  readonly modinfo?: string;
  readonly symbols?: readonly TestSymbol[];
  /** Names of the symbols that relocations of `.text` point at, in order. */
  readonly relocations?: readonly string[];
  /** Bytes after the end, where a signature would be. */
  readonly signature?: Uint8Array;
}

const SECTIONS = [
  '',
  '.text',
  '.rela.text',
  '.modinfo',
  '.BTF',
  '.comment',
  '.symtab',
  '.strtab',
  '.shstrtab',
] as const;
const TYPES = [0, 1, 4, 1, 1, 1, 2, 3, 3];

function texts(names: readonly string[]): { data: Buffer; offsets: number[] } {
  const offsets: number[] = [];
  let data = Buffer.from('\0');
  for (const name of names) {
    offsets.push(name === '' ? 0 : data.length);
    if (name !== '') data = Buffer.concat([data, Buffer.from(`${name}\0`)]);
  }
  return { data, offsets };
}

/** Local symbols must be given before global ones. */
export function makeModule(what: TestModule): Uint8Array {
  const symbols = what.symbols ?? [];
  const names = texts(symbols.map(({ name }) => name));
  const table = Buffer.alloc((symbols.length + 1) * 24);
  symbols.forEach((symbol, index) => {
    const at = (index + 1) * 24;
    table.writeUInt32LE(names.offsets[index]!, at);
    table.writeUInt8(((symbol.isGlobal ? 1 : 0) << 4) | (symbol.isFunction ? 2 : 0), at + 4);
    table.writeUInt16LE(SECTIONS.indexOf((symbol.section ?? '') as ''), at + 6);
  });
  const relocations = what.relocations ?? [];
  const rela = Buffer.alloc(relocations.length * 24);
  relocations.forEach((name, index) => {
    rela.writeBigUInt64LE(BigInt(index * 4), index * 24);
    rela.writeUInt32LE(2, index * 24 + 8);
    rela.writeUInt32LE(symbols.findIndex(symbol => symbol.name === name) + 1, index * 24 + 12);
  });
  const sectionNames = texts(SECTIONS);
  const contents = [
    Buffer.alloc(0),
    Buffer.alloc(64, 0x13),
    rela,
    Buffer.from(what.modinfo ?? ''),
    Buffer.alloc(100, 0xbb),
    Buffer.from('compiler\0'),
    table,
    names.data,
    sectionNames.data,
  ];
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(1, 16);
  header.writeUInt16LE(243, 18);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(SECTIONS.length, 60);
  header.writeUInt16LE(SECTIONS.length - 1, 62);
  const parts: Buffer[] = [header];
  let at = 64;
  const headers = contents.map((data, index) => {
    const section = Buffer.alloc(64);
    section.writeUInt32LE(sectionNames.offsets[index]!, 0);
    section.writeUInt32LE(TYPES[index]!, 4);
    if (index > 0) section.writeBigUInt64LE(BigInt(at), 24);
    section.writeBigUInt64LE(BigInt(data.length), 32);
    section.writeBigUInt64LE(1n, 48);
    const firstGlobal = symbols.findIndex(({ isGlobal }) => isGlobal);
    const links: Record<string, [number, number]> = {
      '.rela.text': [SECTIONS.indexOf('.symtab'), SECTIONS.indexOf('.text')],
      '.symtab': [SECTIONS.indexOf('.strtab'), firstGlobal < 0 ? symbols.length + 1 : firstGlobal + 1],
    };
    const [link, info] = links[SECTIONS[index]!] ?? [0, 0];
    section.writeUInt32LE(link, 40);
    section.writeUInt32LE(info, 44);
    parts.push(data);
    at += data.length;
    return section;
  });
  header.writeBigUInt64LE(BigInt(at), 40);
  return Buffer.concat([...parts, ...headers, what.signature ?? Buffer.alloc(0)]);
}
