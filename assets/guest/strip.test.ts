import { expect, test } from 'vitest';
import { makeModule } from '../../test/guest/module-file.ts';
import { readModule, SYMBOL_SIZE, stringAt, view } from './elf.ts';
import { describeModule } from './modules.ts';
import { stripModule } from './strip.ts';

const MODULE = makeModule({
  modinfo: 'depends=jbd2\0',
  symbols: [
    { name: '.L1', section: '.text' },
    { name: '.L2', section: '.text' },
    { name: 'typed', section: '.BTF' },
    { name: 'helper', section: '.text', isFunction: true },
    { name: 'value', section: '.text' },
    { name: 'exported', section: '.text', isGlobal: true },
    { name: 'printk', isGlobal: true },
  ],
  relocations: ['printk', '.L2', 'value', 'printk'],
  signature: Buffer.from('signature~Module signature appended~\n'),
});

/** Names of the symbols, and of those that relocations point at, as the kernel would look them up. */
function symbolsOf(file: Uint8Array): { names: string[]; places: string[]; used: string[]; firstGlobal: number } {
  const { sections } = readModule(file);
  const table = sections.find(({ name }) => name === '.symtab')!;
  const strings = sections[table.link]!.data;
  const names: string[] = [];
  const places: string[] = [];
  for (let at = 0; at < table.data.length; at += SYMBOL_SIZE) {
    names.push(stringAt(strings, view(table.data).getUint32(at, true)));
    places.push(sections[view(table.data).getUint16(at + 6, true)]!.name);
  }
  const rela = sections.find(({ name }) => name === '.rela.text')!;
  expect(sections[rela.link]).toBe(table);
  expect(sections[rela.info]!.name).toBe('.text');
  const used: string[] = [];
  for (let at = 0; at < rela.data.length; at += 24) used.push(names[view(rela.data).getUint32(at + 12, true)]!);
  return { names, places, used, firstGlobal: table.info };
}

test('types, compiler notes and signature go; all that the loader reads stays as it was', () => {
  const stripped = stripModule(MODULE);
  const [before, after] = [readModule(MODULE), readModule(stripped)];
  const kept = before.sections.map(({ name }) => name).filter(name => name !== '.BTF' && name !== '.comment');
  expect(after.sections.map(({ name }) => name)).toEqual(kept);
  for (const name of ['.text', '.modinfo']) {
    const contents = (file: typeof before) => file.sections.find(section => section.name === name)!.data;
    expect(Buffer.from(contents(after))).toEqual(Buffer.from(contents(before)));
  }
  expect(after.sections[after.sectionNames]!.name).toBe('.shstrtab');
  expect(Buffer.from(stripped).includes('signature appended')).toBe(false);
  expect(describeModule('ext4', stripped).depends).toEqual(['jbd2']);
});

test('unused labels go, relocations still point at the same symbols, labels lose only their names', () => {
  expect(symbolsOf(MODULE).used).toEqual(['printk', '.L2', 'value', 'printk']);
  const { names, places, used, firstGlobal } = symbolsOf(stripModule(MODULE));
  expect(names).toEqual(['', '', 'helper', 'value', 'exported', 'printk']);
  expect(places).toEqual(['', '.text', '.text', '.text', '.text', '']);
  expect(used).toEqual(['printk', '', 'value', 'printk']);
  expect(names[firstGlobal]).toBe('exported');
});

test('stripping what is stripped changes nothing', () => {
  const once = stripModule(MODULE);
  expect(Buffer.from(stripModule(once))).toEqual(Buffer.from(once));
});

test('a module cut off anywhere is refused as damaged and never read past its end', () => {
  const whole = makeModule({ symbols: [{ name: 'a', section: '.text', isGlobal: true }], relocations: ['a'] });
  for (let length = 0; length < whole.length; length += 7) {
    expect(() => stripModule(whole.subarray(0, length))).toThrow(/kernel module is damaged/);
  }
});

test('a file for another machine is refused', () => {
  const other = Buffer.from(MODULE);
  other.writeUInt16LE(62, 18); // x86-64
  expect(() => stripModule(other)).toThrow('not a relocatable file for 64-bit RISC-V');
});
