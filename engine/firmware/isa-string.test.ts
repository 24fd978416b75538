import { expect, test } from 'vitest';
import { canonicalExtensions, isaString } from './isa-string.ts';

test('extensions come in canonical order whatever order they are given in', () => {
  const given = ['sstc', 'zicsr', 'zbb', 'c', 'zba', 'd', 'svade', 'i', 'zifencei', 'f', 'a', 'm', 'zaamo', 'zicntr'];
  expect(isaString(given)).toBe('rv64imafdc_zicntr_zicsr_zifencei_zaamo_zba_zbb_sstc_svade');
  expect(canonicalExtensions(given).slice(0, 7)).toEqual(['i', 'm', 'a', 'f', 'd', 'c', 'zicntr']);
  expect(isaString(['i'])).toBe('rv64i');
});

test.each([[['m']], [['i', 'i']], [['i', 'Zba']], [['i', 'e']], [['i', 'zba,zbb']], [['i', '']]])(
  '%j is refused',
  extensions => {
    expect(() => isaString(extensions)).toThrow(expect.objectContaining({ kind: 'internal' }));
  },
);
