// The list of machines, and that nothing in it is taken for more than text.
import { expect, test } from 'vitest';
import { useShell } from './fixture.ts';
import { CONSOLE, DEBIAN, identityOf } from './page/scripted-library.ts';

const open = useShell();

test('every machine has a card with its state, and the card opens it', async () => {
  const page = await open();
  const card = page.getByRole('article', { name: 'Debian' });
  await expect.poll(() => page.getByRole('article').count()).toBe(5);
  expect(await card.innerText()).toContain('Running');
  expect(await card.innerText()).toContain('Checkpoint 1 h ago · 412 MiB');
  await card.getByRole('link').click();
  await page.getByRole('heading', { name: 'Debian', level: 1 }).waitFor();
  expect(page.url()).toContain(DEBIAN);
  await page.goBack();
  await card.waitFor();
});

test('arrow keys move between cards', async () => {
  const page = await open();
  await page.getByRole('article').first().getByRole('link').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  const focused = await page.evaluate('document.activeElement.textContent');
  expect(focused).toBe('Webshop, before the migration of May');
});

test('what other programs change appears by itself', async () => {
  const page = await open();
  await page.evaluate(() => {
    const [first] = scripted.machines;
    scripted.emit({ event: 'library', library: { folder: '/x', machines: [first!] } });
  });
  await expect.poll(() => page.getByRole('article').count()).toBe(1);
});

test('a machine that vanishes while it is shown says so and leads back', async () => {
  const page = await open(CONSOLE);
  await page.evaluate(() => scripted.emit({ event: 'library', library: { folder: '/x', machines: [] } }));
  await page.getByText('not in the library any more').waitFor();
  await page.getByRole('button', { name: 'Show all machines' }).click();
  await page.getByText('Create your first machine').waitFor();
});

test('a folder that cannot be read says why, and offers nothing that cannot work', async () => {
  const page = await open(`?library=broken#/machine/${identityOf(90)}/console`);
  await page.getByText('The record of the machine is damaged').waitFor();
  expect(await page.getByRole('button', { name: 'Checkpoint' }).count()).toBe(0);
});

test('names are shown as text, whatever is in them', async () => {
  const page = await open();
  const name = '<img src=x onerror="window.broken=1"><b>bold</b>';
  await page.evaluate(given => {
    const [first] = scripted.machines;
    scripted.emit({
      event: 'library',
      library: { folder: given, machines: [{ ...first!, name: given, record: { ...first!.record!, name: given } }] },
    });
    scripted.emit({ event: 'notice', notice: { level: 'error', title: given, text: given } });
  }, name);
  await page.getByRole('article', { name }).waitFor();
  expect(await page.locator('b, img').count()).toBe(0);
  expect(await page.evaluate('window.broken')).toBeUndefined();
});

test('a view that fails says so, and the others are still there', async () => {
  const page = await open('', { expectProblems: true });
  await page.evaluate(() => {
    const [first] = scripted.machines;
    const screen = { columns: 80, rows: 24, lines: 5 as never };
    scripted.emit({ event: 'library', library: { folder: '/x', machines: [{ ...first!, screen }] } });
  });
  await page.getByText('This view has failed').waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Settings' }).click();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
});
