import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asCacheError, defaultCacheFolder, GuestCache, type Manifest } from './cache.ts';

const HASH = '0123456789abcdef0123456789abcdef';
const OTHER = 'f'.repeat(32);
const NOW = new Date('2026-03-01T00:00:00Z');
const days = (count: number) => new Date(NOW.getTime() - count * 24 * 60 * 60 * 1000);

let folder = '';
let cache: GuestCache;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'afterimage-cache-'));
  cache = new GuestCache(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

function fillDraft(draft: string, hash: string, contents: string): void {
  writeFileSync(path.join(draft, 'kernel'), contents);
  writeFileSync(path.join(draft, 'initrd'), 'initrd');
  const files = { kernel: { size: contents.length, sha256: '' }, initrd: { size: 6, sha256: '' } };
  const manifest: Manifest = { hash, kernelRelease: '1', packages: [], modules: [], files };
  writeFileSync(path.join(draft, 'manifest.json'), JSON.stringify(manifest));
}

async function publish(hash: string, contents = 'kernel'): Promise<void> {
  const draft = await cache.draft();
  fillDraft(draft, hash, contents);
  await cache.publish(draft, hash);
}

test('a guest exists from the moment it is published, and not before', async () => {
  const draft = await cache.draft();
  fillDraft(draft, HASH, 'kernel');
  expect(await cache.find(HASH)).toBeUndefined();
  await cache.publish(draft, HASH);
  const found = await cache.find(HASH);
  expect(readFileSync(found!.kernel, 'utf8')).toBe('kernel');
  expect(readdirSync(cache.folder)).toEqual([HASH]);
});

test('publishing again replaces the whole guest', async () => {
  await publish(HASH, 'old');
  await publish(HASH, 'newer');
  expect(readFileSync((await cache.find(HASH))!.kernel, 'utf8')).toBe('newer');
  expect(readdirSync(cache.folder)).toEqual([HASH]);
});

test.each([
  ['a cut kernel', (place: string) => writeFileSync(path.join(place, 'kernel'), 'ker')],
  ['no initrd', (place: string) => rmSync(path.join(place, 'initrd'))],
  ['a damaged manifest', (place: string) => writeFileSync(path.join(place, 'manifest.json'), '{"hash":')],
  ['an empty manifest', (place: string) => writeFileSync(path.join(place, 'manifest.json'), 'null')],
  ['the manifest of another', (place: string) => fillDraft(place, OTHER, 'kernel')],
])('a guest with %s is not used', async (_, damage) => {
  await publish(HASH);
  damage(path.join(cache.folder, HASH));
  expect(await cache.find(HASH)).toBeUndefined();
});

test('guests long unused and leftovers of builds are removed, everything else stays', async () => {
  await publish(HASH);
  await publish(OTHER);
  await publish('a'.repeat(32));
  utimesSync(path.join(cache.folder, HASH), days(100), days(100));
  utimesSync(path.join(cache.folder, OTHER), days(100), days(100));
  await cache.touch('a'.repeat(32), days(13));
  mkdirSync(path.join(cache.folder, '.new-1-dead'));
  mkdirSync(path.join(cache.folder, '.old-1-dead'));
  mkdirSync(path.join(cache.folder, 'something of the user'));
  await cache.removeLeftovers();
  await cache.removeUnused(HASH, NOW);
  expect(readdirSync(cache.folder).sort()).toEqual([HASH, 'a'.repeat(32), 'something of the user']);
});

test('a folder that cannot be made is reported with what to do', async () => {
  writeFileSync(path.join(folder, 'file'), '');
  const blocked = new GuestCache(path.join(folder, 'file'));
  await expect(blocked.prepare()).rejects.toMatchObject({
    kind: 'denied',
    message: expect.stringContaining('AFTERIMAGE_CACHE'),
  });
  expect(existsSync(path.join(folder, 'file'))).toBe(true);
});

test('a full disk is reported as such', () => {
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
  expect(asCacheError(full, '/cache')).toMatchObject({ kind: 'no-space', message: expect.stringContaining('/cache') });
  const other = new Error('other');
  expect(asCacheError(other, '/cache')).toBe(other);
});

test('the cache lies where the platform keeps such things, or where the user says', () => {
  const place = (environment: Record<string, string>, platform: NodeJS.Platform = 'linux') =>
    defaultCacheFolder(environment, platform, '/home/me');
  expect(place({})).toBe('/home/me/.cache/afterimage');
  expect(place({ XDG_CACHE_HOME: '/fast' })).toBe('/fast/afterimage');
  expect(place({ XDG_CACHE_HOME: 'relative' })).toBe('/home/me/.cache/afterimage');
  expect(place({}, 'darwin')).toBe('/home/me/Library/Caches/afterimage');
  expect(place({ LOCALAPPDATA: '/local' }, 'win32')).toBe('/local/afterimage/cache');
  expect(place({ AFTERIMAGE_CACHE: '/mine', XDG_CACHE_HOME: '/fast' })).toBe('/mine');
});
