import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { AfterimageError } from '../../base/errors.ts';
import { cellsOf, type FdtNode, findNode, readFdt, textsOf } from './read.ts';
import { TreeNode } from './tree.ts';
import { writeFdt } from './write.ts';

function sample(): TreeNode {
  const root = TreeNode.root().cells('#address-cells', 2).texts('compatible', 'first,second', 'third');
  const clock = root.child('clock@1000');
  root.child('bus').flag('ranges').child('user').cells('clocks', clock, 7).wide('reg', 0x1_2345_6789, 16);
  root
    .child('empty')
    .bytes('blob', Uint8Array.of(1, 2, 3, 4, 5))
    .bytes('none', new Uint8Array(0));
  clock.cells('value', 0xffff_ffff);
  return root;
}

/** Runs the device tree compiler, quiet about what the sample's nodes would mean. */
function compile(from: 'dtb' | 'dts', to: 'dtb' | 'dts', input: string | Uint8Array): Buffer {
  const result = spawnSync('dtc', ['-q', '-I', from, '-O', to], { input });
  expect(result.error, 'dtc runs').toBeUndefined();
  expect(result.stderr.toString()).toBe('');
  expect(result.status).toBe(0);
  return result.stdout;
}

function asText(node: FdtNode): unknown {
  return {
    name: node.name,
    properties: [...node.properties].map(([name, value]) => [name, Buffer.from(value).toString('hex')]),
    children: node.children.map(asText),
  };
}

describe('flattened device tree', () => {
  test('what is written is read back', () => {
    const { root, reservations, bootHart } = readFdt(
      writeFdt(sample(), { reservations: [{ at: 0x1_0000_0000, size: 4096 }], bootHart: 3 }),
    );
    expect(reservations).toEqual([{ at: 0x1_0000_0000, size: 4096 }]);
    expect(bootHart).toBe(3);
    expect(root.children.map(child => child.name)).toEqual(['clock@1000', 'bus', 'empty']);
    expect(textsOf(root.properties.get('compatible')!)).toEqual(['first,second', 'third']);
    const user = findNode(root, '/bus/user')!;
    const clock = findNode(root, '/clock@1000')!;
    expect(cellsOf(user.properties.get('reg')!)).toEqual([1, 0x2345_6789, 0, 16]);
    expect(cellsOf(user.properties.get('clocks')!)).toEqual([1, 7]);
    expect(cellsOf(clock.properties.get('phandle')!)).toEqual([1]);
    expect(cellsOf(clock.properties.get('value')!)).toEqual([0xffff_ffff]);
    expect(findNode(root, '/bus')!.properties.get('ranges')).toHaveLength(0);
    expect(findNode(root, '/empty')!.properties.get('blob')).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
    expect(findNode(root, '/bus/nobody')).toBeUndefined();
    expect(findNode(root, '/bus')!.properties.has('phandle')).toBe(false);
  });

  test('the device tree compiler reads what we write, and we read what it writes', () => {
    const ours = writeFdt(sample());
    const source = compile('dtb', 'dts', ours).toString();
    expect(source).toContain('value = <0xffffffff>;');
    expect(source).toContain('blob = [01 02 03 04 05];');
    expect(asText(readFdt(compile('dts', 'dtb', source)).root)).toEqual(asText(readFdt(ours).root));
  });

  test.each([
    ['a node name', () => TreeNode.root().child('a/b')],
    ['a property name', () => TreeNode.root().flag('a b')],
    ['two children of one name', () => [TreeNode.root()].map(root => [root.child('a'), root.child('a')])],
    ['a property set twice', () => TreeNode.root().flag('a').flag('a')],
    ['a cell beyond 32 bits', () => TreeNode.root().cells('a', 2 ** 32)],
    ['a zero byte in a text', () => TreeNode.root().texts('a', 'b\0c')],
    ['a reference out of the tree', () => writeFdt(TreeNode.root().cells('a', sample()))],
  ])('%s that cannot be: refused', (_what, build) => {
    expect(build).toThrow(expect.objectContaining({ kind: 'internal' }));
  });

  test.each<[string, (view: DataView) => void, string]>([
    ['no magic', view => view.setUint32(0, 1), 'corrupt'],
    ['a total size beyond the end', view => view.setUint32(4, view.byteLength + 1), 'corrupt'],
    ['a structure block beyond the end', view => view.setUint32(8, view.byteLength), 'corrupt'],
    ['an unknown version', view => view.setUint32(24, 18), 'unsupported'],
    ['a strings block of no bytes', view => view.setUint32(32, 0), 'corrupt'],
    ['reservations that do not end', view => view.setUint32(16, view.byteLength - 8), 'corrupt'],
  ])('refuses %s', (_what, damage, kind) => {
    const bytes = writeFdt(sample());
    damage(new DataView(bytes.buffer));
    expect(() => readFdt(bytes)).toThrow(expect.objectContaining({ kind }));
  });

  test('a tree that is too deep is refused', () => {
    const root = TreeNode.root();
    let node = root;
    for (let depth = 0; depth < 64; depth += 1) node = node.child('deeper');
    expect(() => readFdt(writeFdt(root))).toThrow(/deep/);
  });

  test('every prefix and every changed byte gives a tree or a typed error', () => {
    const bytes = writeFdt(sample());
    let refused = 0;
    const attempt = (damaged: Uint8Array): void => {
      try {
        readFdt(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(AfterimageError);
        refused += 1;
      }
    };
    for (let length = 0; length < bytes.length; length += 1) attempt(bytes.subarray(0, length));
    expect(refused).toBe(bytes.length);
    for (let at = 0; at < bytes.length; at += 1) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) attempt(bytes.with(at, value));
    }
    expect(refused).toBeGreaterThan(bytes.length);
  });
});
