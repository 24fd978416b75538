// The memory view in a browser, with a scripted machine behind it.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { violations } from '../harness/axe.ts';
import { callsOf, useHarness } from '../harness/fixture.ts';

const harness = useHarness();

async function openMemory(query = '', options = {}): Promise<Page> {
  const page = await harness.open(`view=memory&${query}`, options);
  await page.getByText('In use for all pages').waitFor();
  return page;
}

const picture = (page: Page) => page.getByRole('application');

/** How many different colours the picture has. */
async function colours(page: Page): Promise<number> {
  return await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('[role=application] canvas')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
}

test('the picture has a colour for each kind of page, and the legend its count', async () => {
  const page = await openMemory();
  await expect.poll(() => colours(page)).toBeGreaterThan(7);
  const counts = await page.getByRole('group', { name: 'Legend' }).getByRole('button').allTextContents();
  expect(counts).toHaveLength(8);
  expect(counts[2]).toMatch(/Never written.*\d/s);
  // Every page lies in its own frame or in another.
  const [inPlace, remapped] = counts.map(text => Number(text.replaceAll(/\D/g, '')));
  expect(inPlace! + remapped!).toBe(131_072);
});

test('pointing out a kind leaves its colour alone', async () => {
  const page = await openMemory();
  await expect.poll(() => colours(page)).toBeGreaterThan(7);
  const held = page.getByRole('button', { name: /^Held/ });
  await held.click();
  // Its colour, the faded one and the gaps between.
  await expect.poll(() => colours(page)).toBe(3);
  expect(await held.getAttribute('aria-pressed')).toBe('true');
  await held.click();
  await expect.poll(() => colours(page)).toBeGreaterThan(7);
});

test('the page under the pointer or the cursor is told', async () => {
  const page = await openMemory();
  await picture(page).hover({ position: { x: 3, y: 3 } });
  await page.getByText('Pages 0 to 7, 0x80000000 to 0x80008000').waitFor();
  await page.mouse.move(0, 0);
  await picture(page).focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await page.getByText('Pages 8 to 15').waitFor();
  await page.keyboard.press('End');
  await page.getByText('to 131,071').waitFor();
});

test('it is asked for again while it is looked at, and not after', async () => {
  const page = await openMemory();
  const asked = () => page.evaluate(() => stage.machine.reads.get('memory') ?? 0);
  const before = await asked();
  await expect.poll(asked).toBeGreaterThan(before + 2);
  await page.evaluate(() => stage.machine.announce({ state: 'off' }));
  await page.getByText('The machine is off').waitFor();
  // What was under way may still be answered; then it is quiet over several times the usual rest.
  const left = await asked();
  await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 1200)));
  expect(await asked()).toBeLessThanOrEqual(left + 1);
});

test('virtualizing and devirtualizing take range, mode and how users of a frame are known', async () => {
  const page = await openMemory();
  await page.getByLabel('Apply to').selectOption('range');
  await page.getByLabel('From').fill('64M');
  await page.getByLabel('Length').fill('1 TiB');
  await page.getByText('Not a range of this memory').waitFor();
  expect(await page.getByRole('button', { name: 'Virtualize', exact: true }).isDisabled()).toBe(true);
  await page.getByLabel('Length').fill('128 MiB');
  await page.getByText('Options').click();
  await page.getByLabel('Mode').selectOption('paused');
  await page.getByLabel('Users of a frame').selectOption('refcount');
  await page.getByRole('button', { name: 'Devirtualize', exact: true }).click();
  await page.getByText('Not in use').waitFor();
  expect(await callsOf(page, 'devirtualize')).toEqual([
    { range: { first: 16_384, count: 32_768 }, mode: 'paused', reverse: 'refcount' },
  ]);
  await page.getByRole('button', { name: 'Virtualize', exact: true }).click();
  await page.getByText('In use for all pages').waitFor();
  await page.getByRole('button', { name: 'Share', exact: true }).click();
  await expect.poll(() => callsOf(page, 'share')).toEqual([{}]);
});

test('a failed operation is told', async () => {
  const page = await openMemory();
  await page.evaluate(() =>
    stage.machine.failures.set('scatter', { kind: 'no-space', message: 'There are no free frames', context: {} }),
  );
  await page.getByRole('button', { name: 'Scatter' }).click();
  await page.getByText('Pages could not be scattered').waitFor();
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
])('axe finds nothing in the %s memory at %i pixels, and nothing is wider than the window', async (theme, width) => {
  const page = await openMemory(`theme=${theme}`, { width, height: 844 });
  await page.getByText('Options').click();
  expect(await violations(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
});
