import { describe, expect, it } from 'vitest';
import { openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { findJournals, Journal } from '../../engine/disk/jobs/journal.ts';
import { overlaysOf, refuseHalfCommitted, refuseOverlays, settleJobs } from '../../engine/disk/jobs/resume.ts';
import { Random } from '../contract/random.ts';
import { MemoryFolder } from './memory-folder.ts';
import { codecs } from './qcow2/qemu.ts';

const crash = () => Promise.reject(new Error('crash'));

/** A journal as a crash leaves it. */
async function journal(spare: readonly string[] = []): Promise<Uint8Array> {
  const folder = new MemoryFolder();
  await Journal.during(folder, { kind: 'commit', layer: 'top.qcow2', base: 'base.raw', spare }, async kept => {
    kept.keep();
    await kept.addSpare('spare.qcow2');
    await crash();
  }).catch(() => undefined);
  return folder.content('top.qcow2.job');
}

async function chain(): Promise<MemoryFolder> {
  const folder = new MemoryFolder();
  folder.add('base.raw', new Uint8Array(65_536));
  const base = await openChain(folder, { path: 'base.raw', format: 'raw' }, { access: 'read', codecs });
  await (await createOverlay(base, 'top.qcow2')).close();
  await base.close();
  return folder;
}

const open = (folder: MemoryFolder) =>
  openChain(folder, { path: 'top.qcow2', format: 'qcow2' }, { access: 'read', codecs });

describe('journals', () => {
  it('say the last state that was written whole', async () => {
    const whole = await journal();
    const states = new Set<string>();
    for (let length = 0; length <= whole.length; length += 1) {
      const folder = new MemoryFolder();
      folder.add('top.qcow2.job', whole.subarray(0, length));
      const [found] = await findJournals(folder, []);
      states.add(JSON.stringify(found?.record?.spare));
      expect(length === 0 || found === undefined || found.record !== undefined).toBe(true);
    }
    expect([...states]).toEqual([JSON.stringify(undefined), '[]', '["spare.qcow2"]']);
  });

  it('that are damaged or someone else’s are left alone, and nothing outside the folder is named', async () => {
    const whole = await journal();
    const random = new Random(1);
    for (let index = 0; index < 2000; index += 1) {
      const folder = await chainOnce();
      const bytes = whole.slice();
      for (let count = 1 + random.below(3); count > 0; count -= 1)
        bytes[random.below(bytes.length)] = random.below(256);
      folder.add('top.qcow2.job', bytes);
      for (const { record } of await findJournals(folder, [])) {
        expect(record === undefined || ['top.qcow2', 'spare.qcow2'].includes(record.layer)).toBe(true);
      }
    }
    for (const layer of ['../top.qcow2', '/top.qcow2', 'json:{}', '', 7]) {
      const folder = new MemoryFolder();
      const text = JSON.stringify({ kind: 'commit', layer, spare: [] });
      folder.add('a.job', new TextEncoder().encode(`${text} ${checksum(text)}\n`));
      expect(await findJournals(folder, [])).toEqual([]);
    }
  });

  it('of a commit keep its base from being used alone, until the layer is gone', async () => {
    const folder = await chain();
    folder.add('top.qcow2.job', await journal());
    await expect(refuseHalfCommitted(folder, 'base.raw')).rejects.toMatchObject({ kind: 'state' });
    await refuseHalfCommitted(folder, 'top.qcow2');
    folder.names.delete('top.qcow2');
    await refuseHalfCommitted(folder, 'base.raw');
  });

  it('name what may go: what is needed, stands below something or is in the chain stays', async () => {
    for (const kind of ['free', 'needed', 'unknown', 'below', 'chain'] as const) {
      const folder = await chain();
      folder.add('top.qcow2.job', await journal());
      folder.add('spare.qcow2', new Uint8Array(folder.content('top.qcow2')));
      if (kind === 'below') {
        const spare = await openChain(folder, { path: 'spare.qcow2', format: 'qcow2' }, { access: 'read', codecs });
        await (await createOverlay(spare, 'above.qcow2')).close();
      }
      const top = await open(folder);
      const inChain =
        kind === 'chain' ? [{ path: 'spare.qcow2', backing: top }, top, top.backing!] : [top, top.backing!];
      const needed = kind === 'unknown' ? undefined : (path: string) => kind === 'needed' && path === 'spare.qcow2';
      expect(await settleJobs(folder, inChain, needed)).toEqual([
        { kind: 'commit', layer: 'top.qcow2', base: 'base.raw' },
      ]);
      expect(await folder.exists('spare.qcow2'), kind).toBe(kind !== 'free');
      await top.close();
    }
  });
});

it('overlays of a file are found by what they name, whatever their own name', async () => {
  const folder = await chain();
  folder.add('no image', new Uint8Array(100));
  folder.add('other', folder.content('top.qcow2'));
  expect(await overlaysOf(folder, 'base.raw')).toEqual(['top.qcow2', 'other']);
  await expect(refuseOverlays(folder, 'base.raw', ['top.qcow2'])).rejects.toMatchObject({
    kind: 'state',
    message: /^other stands on it too/,
  });
  await refuseOverlays(folder, 'top.qcow2');
});

let base: MemoryFolder | undefined;
async function chainOnce(): Promise<MemoryFolder> {
  base ??= await chain();
  return base.copy();
}

/** As the journal has it. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
