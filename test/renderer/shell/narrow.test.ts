// A window as narrow as a phone: nothing is cut off or left out.
import { expect, test } from 'vitest';
import { useShell } from './fixture.ts';
import { DEBIAN } from './page/scripted-library.ts';

const open = useShell();
const NARROW = { width: 390, height: 800 };

test('every tab of a machine is seen whole', async () => {
  const page = await open(`#/machine/${DEBIAN}/activity`, NARROW);
  const bar = (await page.getByRole('tablist').boundingBox())!;
  for (const tab of await page.getByRole('tab').all()) {
    const { x, width } = (await tab.boundingBox())!;
    expect(x).toBeGreaterThanOrEqual(bar.x);
    expect(x + width).toBeLessThanOrEqual(bar.x + bar.width + 0.5);
  }
});

test('a layer says who needs it, and its name is not cut', async () => {
  const page = await open(`#/machine/${DEBIAN}/disks`, NARROW);
  const layers = page.getByRole('listbox', { name: 'Layers of vda' }).getByRole('option');
  await layers.first().getByText('This machine').waitFor();
  await layers.nth(1).getByText('Nobody').waitFor();
  const name = layers.nth(1).getByText('root-7.qcow2', { exact: true });
  expect(await name.evaluate(element => element.scrollWidth - element.clientWidth)).toBeLessThanOrEqual(0);
  // The rows are as high as the picture of the chain beside them says.
  const rows = await Promise.all((await layers.all()).map(layer => layer.boundingBox()));
  const picture = (await page
    .locator('svg[height]')
    .filter({ has: page.locator('.edge') })
    .boundingBox())!;
  expect(picture.height).toBeCloseTo(
    rows.reduce((sum, row) => sum + row!.height, 0),
    0,
  );
});

test('nothing is wider than the window', async () => {
  for (const tab of ['console', 'checkpoints', 'disks', 'memory', 'activity']) {
    const page = await open(`#/machine/${DEBIAN}/${tab}`, NARROW);
    await page.getByRole('tabpanel').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(NARROW.width);
  }
});
