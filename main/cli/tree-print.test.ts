import { describe, expect, it } from 'vitest';
import type { CheckpointNode } from '../../engine/api/checkpoints.ts';
import { checkpointMeant } from './machine-command.ts';
import { treeLines } from './tree-print.ts';

const NOW = 1_800_000_000_000;

/** `a:root`, `b:a`: a checkpoint and its parent, each taken a minute after the one before. */
function tree(words: string, current?: string) {
  const nodes = words.split(' ').map((word, index, all): CheckpointNode => {
    const [name, parent] = word.split(':') as [string, string | undefined];
    return {
      id: identity(name),
      ...(parent === undefined ? {} : { parent: identity(parent) }),
      name,
      note: '',
      takenAt: NOW - (all.length - index) * 60_000,
      origin: 'manual',
      protected: false,
      store: 'file',
      durable: true,
      pauseMicroseconds: 300,
      bytes: 5 * 2 ** 20,
      current: name === current,
    };
  });
  return { nodes, hiddenBytes: 0, ...(current === undefined ? {} : { current: identity(current) }) };
}

const identity = (name: string) => Buffer.from(name.padEnd(16, '.')).toString('hex');
/** Only what is left of a checkpoint's name, and the name. */
const shape = (lines: readonly string[]) => lines.map(line => line.replace(/● [0-9a-f]{8} {2}(\w+).*/, '$1'));

describe('drawing of the tree', () => {
  it('a line of checkpoints goes straight down, branches stand to the right', () => {
    const view = tree('a b:a c:b d:b e:d f:a g:f', 'g');
    expect(shape(treeLines(view, NOW))).toEqual(['a', '├─b', '│ ├─c', '│ d', '│ e', 'f', 'g']);
    // Without a place in it, the newest are the trunk.
    expect(shape(treeLines(tree('a b:a c:a d:b'), NOW))).toEqual(['a', '├─b', '│ d', 'c']);
  });

  it('says where the machine is, and what is special', () => {
    const view = tree('a b:a', 'b');
    const nodes = [
      { ...view.nodes[0]!, protected: true, origin: 'automatic' as const },
      { ...view.nodes[1]!, store: 'ram', durable: false },
    ];
    expect(treeLines({ ...view, nodes, hiddenBytes: 4096 }, NOW)).toEqual([
      '● 612e2e2e  a  2 min ago  5 MiB  300 µs  [automatic, protected]',
      '● 622e2e2e  b  1 min ago  5 MiB  300 µs  [ram, until the machine ends] ◀ you are here',
      '4 KiB of deleted checkpoints are kept for others',
    ]);
    expect(treeLines({ nodes: [], hiddenBytes: 0 }, NOW)).toEqual(['There are no checkpoints']);
  });

  it('draws trees that cannot be, and long ones', () => {
    expect(shape(treeLines(tree('a:b b:a c:x'), NOW))).toEqual(['c', '', 'a', 'b']);
    expect(shape(treeLines(tree('a b:a c'), NOW))).toEqual(['a', 'b', '', 'c']);
    const long = Array.from({ length: 5000 }, (_, i) => (i === 0 ? 'n0' : `n${i}:n${i - 1}`)).join(' ');
    const lines = treeLines(tree(long, 'n4999'), NOW);
    expect(lines).toHaveLength(5000);
    expect(lines.at(-1)).toMatch(/^● .* n4999 .*you are here$/);
  });

  it('names cannot spoil the terminal or the table', () => {
    const view = tree('a');
    const nodes = [{ ...view.nodes[0]!, name: `\u001b[2J\n${'x'.repeat(500)}` }];
    const [line] = treeLines({ ...view, nodes }, NOW);
    for (const bad of ['\u001b', '\n']) expect(line).not.toContain(bad);
    expect(line!.length).toBeLessThan(100);
    expect(treeLines({ ...view, nodes }, NOW, 60)[0]).toHaveLength(60);
  });
});

describe('the checkpoint meant', () => {
  const view = tree('alpha beta:alpha bet:beta', 'beta');

  it.each([
    [identity('alpha'), 'alpha'],
    [identity('alpha').slice(0, 4), 'alpha'],
    [identity('alpha').slice(0, 4).toUpperCase(), 'alpha'],
    ['beta', 'beta'],
    ['current', 'beta'],
    ['latest', 'bet'],
  ])('%s', (text, name) => {
    expect(checkpointMeant(view, text)).toBe(identity(name));
  });

  it('must be one', () => {
    expect(() => checkpointMeant(view, 'gamma')).toThrow(expect.objectContaining({ kind: 'missing' }));
    expect(() => checkpointMeant(view, '62')).toThrow(
      expect.objectContaining({
        kind: 'usage',
        message: expect.stringMatching(/several checkpoints: 62657461, 6265742e/),
      }),
    );
    expect(() => checkpointMeant(tree('same same'), 'same')).toThrow(expect.objectContaining({ kind: 'usage' }));
    expect(() => checkpointMeant({ nodes: [], hiddenBytes: 0 }, 'latest')).toThrow(/no checkpoint/);
  });
});
