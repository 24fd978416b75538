// A layer is committed while the guest writes to it and somebody types at the console: nobody notices.
import { createHash } from 'node:crypto';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { JobView } from '../../engine/api/control.ts';
import { atPrompt, consoleText, openBrowserApp, shell } from './browser-app.ts';

/** What the guest writes before, so that the commit takes a while at the limit that it is given. */
const MEBIBYTES = 24;
const LINES = Array.from(
  { length: 24 },
  (_, index) => `${index} the quick brown fox jumps over the lazy dog ${index * 7919}`,
);

/** The guest writes files and notes their sums, until it is told to end. */
const LOAD = [
  'rm -f /tmp/stop /data/sums',
  `head -c ${MEBIBYTES * 2 ** 20} /dev/urandom > /data/before && md5sum /data/before >> /data/sums && sync`,
  '(n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); head -c 40000 /dev/urandom > /data/f$n;' +
    ' md5sum /data/f$n >> /data/sums; sync; done; echo $n > /tmp/written) & true',
];

async function commitJob(page: Page): Promise<JobView | undefined> {
  return await page.evaluate(async () => {
    const { afterimage } = globalThis as unknown as {
      afterimage: { call(name: string, given: object): Promise<{ result: never }> };
    };
    const { machines } = (await afterimage.call('library', {})).result as { machines: { id: string }[] };
    const machine = machines[0]!.id;
    const jobs = (await afterimage.call('machine-call', { machine, name: 'jobs', arguments: {} })).result as JobView[];
    return jobs.find(job => job.kind === 'commit');
  });
}

/** Until a line of the screen has this text and nothing else. */
async function rowReading(page: Page, text: string): Promise<void> {
  await page.waitForFunction(
    wanted =>
      (document.querySelector<HTMLElement>('.xterm-rows')?.innerText ?? '')
        .replaceAll('\u00a0', ' ')
        .split('\n')
        .some(row => row.trimEnd() === wanted),
    text,
  );
}

test('a commit under load, while somebody types: all is echoed, nothing is lost, the files are right', async () => {
  const { page, problems } = await openBrowserApp();
  const tab = (name: string | RegExp) => page.getByRole('tab', { name }).click();
  await page.getByRole('button', { name: 'New machine' }).last().click();
  await page.getByRole('button', { name: 'Create and start' }).click();
  await atPrompt(page);

  await tab('Disks');
  const layers = page.getByRole('listbox', { name: 'Layers of vda' }).getByRole('option');
  await layers.first().waitFor();
  await page.getByRole('button', { name: 'New overlay' }).click();
  await page.getByRole('button', { name: 'Add the overlay' }).click();
  await layers.nth(1).waitFor();
  await tab('Console');
  for (const line of LOAD) await shell(page, line);

  await tab('Disks');
  await layers.first().click();
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('To be copied').waitFor();
  await dialog.getByRole('combobox', { name: 'Speed limit' }).selectOption({ label: '1 MiB per second' });
  await dialog.getByRole('button', { name: 'Commit' }).click();
  await page.getByRole('progressbar').waitFor();
  const before = await commitJob(page);
  expect(before).toMatchObject({ state: 'running' });

  // Typed as a person does, key by key; each line is on the screen when the guest has echoed it.
  await tab('Console');
  await page.locator('.xterm').click();
  await page.keyboard.type('clear; echo ready; cat > /data/typed\n');
  await rowReading(page, 'ready');
  for (const line of LINES) {
    await page.keyboard.type(`${line}\n`);
    await rowReading(page, line);
  }
  await page.keyboard.press('Control+D');
  await atPrompt(page);
  // All of that was while the commit was under way.
  const after = await commitJob(page);
  expect(after).toMatchObject({ job: before!.job, state: 'running' });
  expect(after!.done).toBeGreaterThan(before!.done);

  await tab('Disks');
  await page.getByRole('button', { name: 'Speed limit of Commit' }).click();
  await page.getByRole('menuitem', { name: 'No limit' }).click();
  await layers.nth(1).waitFor({ state: 'detached' });
  expect(await commitJob(page)).toMatchObject({ state: 'done' });

  await tab('Console');
  await shell(page, 'touch /tmp/stop; wait');
  const sum = createHash('md5')
    .update(`${LINES.join('\n')}\n`)
    .digest('hex');
  // From the disk, not from what the guest still remembers.
  await shell(page, 'sync; echo 3 > /proc/sys/vm/drop_caches');
  expect(await shell(page, 'md5sum /data/typed')).toContain(sum);
  expect(await shell(page, 'md5sum -c /data/sums 2>&1 | grep -vc OK')).toMatch(/^0$/m);
  const written = await shell(page, 'echo $(($(cat /tmp/written) + 1)) $(wc -l < /data/sums)');
  const [files, sums] = written
    .match(/(\d+) (\d+)/)!
    .slice(1)
    .map(Number);
  expect(files).toBe(sums);
  expect(files).toBeGreaterThan(3);
  // The console has kept working all the while.
  expect(await consoleText(page)).toContain('root@afterimage');
  expect(problems).toEqual([]);
});
