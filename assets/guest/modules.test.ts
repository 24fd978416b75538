import { expect, test } from 'vitest';
import { makeModule } from '../../test/guest/module-file.ts';
import {
  describeModule,
  formatModulesAlias,
  formatModulesDep,
  type KernelModule,
  moduleName,
  modulesInOrder,
  parseModinfo,
} from './modules.ts';

function module(name: string, depends: string[] = [], more: Partial<KernelModule> = {}): KernelModule {
  return { name, file: new Uint8Array(), depends, softDepends: [], aliases: [], ...more };
}

function loader(modules: readonly KernelModule[]): (name: string) => Promise<KernelModule | undefined> {
  return async name => modules.find(candidate => candidate.name === name);
}

const FILE_SYSTEM = [
  module('ext4', ['jbd2', 'mbcache', 'crc16'], { softDepends: ['crypto-crc32c'], aliases: ['fs-ext4', 'ext3'] }),
  module('jbd2', [], { softDepends: ['crypto-crc32c'] }),
  module('mbcache'),
  module('crc32c_generic', [], { aliases: ['crc32c', 'crypto-crc32c'] }),
];

test('modinfo texts are split at NULs, whatever padding lies between', () => {
  const data = Buffer.from('license=GPL\0\0\0depends=a,b\0alias=of:N*T*Cvirtio,mmio\0parm=x=y\0');
  expect(parseModinfo(data)).toEqual([
    ['license', 'GPL'],
    ['depends', 'a,b'],
    ['alias', 'of:N*T*Cvirtio,mmio'],
    ['parm', 'x=y'],
  ]);
});

test('a module file tells its dependencies, soft dependencies and aliases', () => {
  const file = makeModule({ modinfo: 'softdep=pre: a b-c post: d\0depends=jbd2,net-failover\0alias=fs-ext4\0' });
  expect(describeModule('ext4', file)).toMatchObject({
    depends: ['jbd2', 'net-failover'],
    softDepends: ['a', 'b-c'],
    aliases: ['fs-ext4'],
  });
});

test('file names become module names', () => {
  expect(moduleName('kernel/drivers/char/hw_random/virtio-rng.ko.xz')).toBe('virtio_rng');
  expect(moduleName('ext4.ko')).toBe('ext4');
});

test('each module comes once and after what it depends on; built-in ones are left out', async () => {
  const ordered = await modulesInOrder(['ext4', 'jbd2', 'crc32c_generic'], loader(FILE_SYSTEM), new Set(['crc16']));
  expect(ordered.map(({ name }) => name)).toEqual(['jbd2', 'mbcache', 'ext4', 'crc32c_generic']);
});

test('modules that need each other do not make it run forever', async () => {
  const circle = [module('a', ['b']), module('b', ['a'])];
  expect((await modulesInOrder(['a'], loader(circle), new Set())).map(({ name }) => name)).toEqual(['b', 'a']);
  expect(formatModulesDep(circle)).toBe('a.ko: b.ko\nb.ko: a.ko\n');
});

test('a module that does not exist is named with the one that needs it', async () => {
  await expect(modulesInOrder(['ext4'], loader(FILE_SYSTEM), new Set())).rejects.toThrow(
    'The Debian kernel has no module crc16, which ext4 needs',
  );
});

test('modules.dep lists the nearest need first and counts aliased soft dependencies', () => {
  expect(formatModulesDep(FILE_SYSTEM).split('\n')[0]).toBe('ext4.ko: mbcache.ko jbd2.ko crc32c_generic.ko');
  expect(formatModulesDep([module('c', ['b']), module('b', ['a']), module('a')])).toBe(
    'c.ko: b.ko a.ko\nb.ko: a.ko\na.ko:\n',
  );
});

test('modules.alias maps each alias to its module', () => {
  expect(formatModulesAlias(FILE_SYSTEM)).toBe(
    'alias fs-ext4 ext4\nalias ext3 ext4\nalias crc32c crc32c_generic\nalias crypto-crc32c crc32c_generic\n',
  );
});
