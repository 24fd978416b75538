import { describe, expect, it } from 'vitest';
import { libraryFolder } from './location.ts';
import { slugOf } from './slug.ts';

describe('names of folders', () => {
  it.each([
    ['web', 'web'],
    ['Web Server (2)', 'web-server-2'],
    ['Zürich', 'zurich'],
    ['../../etc/passwd', 'etc-passwd'],
    ['.hidden', 'hidden'],
    ['a/b\\c:d*e?', 'a-b-c-d-e'],
    ['CON', 'machine-con'],
    ['lpt1.txt', 'machine-lpt1.txt'],
    ['日本', 'machine'],
    ['...', 'machine'],
    ['x'.repeat(100), 'x'.repeat(48)],
    [`${'x'.repeat(47)} y`, 'x'.repeat(47)],
  ])('%s', (name, slug) => {
    expect(slugOf(name)).toBe(slug);
  });
});

describe('where the library is', () => {
  const usual = (environment: Record<string, string>, platform: NodeJS.Platform) =>
    libraryFolder(undefined, environment, platform, '/home/u');

  it('is as the platform has it', () => {
    expect(usual({}, 'linux')).toBe('/home/u/.local/share/afterimage/machines');
    expect(usual({ XDG_DATA_HOME: '/data' }, 'linux')).toBe('/data/afterimage/machines');
    expect(usual({ XDG_DATA_HOME: 'relative' }, 'linux')).toBe('/home/u/.local/share/afterimage/machines');
    expect(usual({}, 'darwin')).toBe('/home/u/Library/Application Support/afterimage/machines');
    expect(usual({ LOCALAPPDATA: '/local' }, 'win32')).toBe('/local/afterimage/machines');
  });

  it('is what is asked for first, then the environment', () => {
    expect(usual({ AFTERIMAGE_LIBRARY: '/mine' }, 'linux')).toBe('/mine');
    expect(libraryFolder('/asked', { AFTERIMAGE_LIBRARY: '/mine' })).toBe('/asked');
  });
});
