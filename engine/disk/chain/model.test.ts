import { expect, it } from 'vitest';
import { chainModel, type LayerFacts, type Need } from './model.ts';

const layer = (path: string, backing?: string): LayerFacts => ({
  path,
  format: 'qcow2',
  virtualSize: 2 ** 20,
  allocatedSize: 2 ** 16,
  ...(backing === undefined ? {} : { backing }),
});
const need = (by: Need['by'], at: string, id: string = by): Need => ({ by, id, layer: at });

const CHAIN = [layer('base'), layer('one', 'base'), layer('two', 'one')];

function modelOf(needs: readonly Need[], layers = CHAIN) {
  return Object.fromEntries(chainModel(layers, needs).map(one => [one.path, one]));
}

it('what anyone needs, directly or through what stands on it, is not deleted', () => {
  const model = modelOf([need('checkpoint', 'one', 'monday')]);
  expect(model.base!.neededBy).toEqual([{ by: 'checkpoint', id: 'monday', layer: 'one', direct: false }]);
  expect(model.base!.may.delete).toEqual({ allowed: false, reason: 'checkpoint monday needs it' });
  expect(model.one!.may.delete.allowed).toBe(false);
  expect(model.two!.may.delete).toEqual({ allowed: true });
});

it('what something stands on is not deleted even if nobody is known to need it', () => {
  expect(modelOf([]).one!.may.delete).toEqual({ allowed: false, reason: 'two stands on it' });
});

it('a layer is committed unless that changes what someone else reads', () => {
  expect(modelOf([need('machine', 'two')]).two!.may.commit).toEqual({ allowed: true });
  expect(modelOf([need('machine', 'two')]).one!.may.commit).toEqual({ allowed: true });
  expect(modelOf([need('checkpoint', 'one', 'c')]).two!.may.commit.reason).toBe('checkpoint c needs the layer below');
  expect(modelOf([need('checkpoint', 'one', 'c')]).one!.may.commit.reason).toBe('checkpoint c needs it');
  expect(modelOf([], [...CHAIN, layer('clone', 'base')]).one!.may.commit.reason).toMatch(/clone stands on/);
  expect(modelOf([]).base!.may.commit.reason).toBe('there is no layer below');
  expect(modelOf([], CHAIN.slice(1)).one!.may.commit.reason).toBe('base is missing');
});

it('a layer in use is neither compacted nor resized, nor is one whose size others rely on', () => {
  const running = modelOf([need('machine', 'two', 'm')]);
  expect(running.two!.may.compact.reason).toMatch(/machine m/);
  expect(running.two!.may.resize.allowed).toBe(false);
  expect(running.one!.may.compact.allowed).toBe(true);
  expect(running.one!.may.resize.reason).toBe('two stands on it');
  expect(modelOf([]).two!.may.resize).toEqual({ allowed: true });
});

it('circles end', () => {
  expect(modelOf([need('machine', 'a')], [layer('a', 'b'), layer('b', 'a')]).b!.neededBy).toHaveLength(1);
});
