// Terminals: keys, pastes, search, links, floods of output.
import { expect, test } from 'vitest';
import { calls, lastCall, typed, useShell } from './fixture.ts';
import { CONSOLE, DEBIAN, identityOf } from './page/scripted-library.ts';

const open = useShell();
const SUSPENDED = identityOf(5);

test('what is typed reaches the machine, a paste of a megabyte whole', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').click();
  await page.keyboard.type('ls -l\n');
  await expect.poll(() => typed(page)).toBe('ls -l\r');
  await page.evaluate(`{
    const data = new DataTransfer();
    data.setData('text/plain', 'x'.repeat(1048576));
    document.querySelector('.xterm-helper-textarea')
      .dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
  }`);
  await expect.poll(async () => (await typed(page)).length, { timeout: 20_000 }).toBe(6 + 1_048_576);
});

test('the guest is told the size, and again by a command when asked', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').waitFor();
  const size = () => page.evaluate(id => scripted.consoles.get(id)?.size, DEBIAN);
  // How wide a character is depends on what draws it.
  await expect.poll(async () => (await size())?.columns).toBeGreaterThan(110);
  expect((await size())!.columns).toBeLessThan(135);
  expect((await size())!.rows).toBeGreaterThan(30);
  await page.setViewportSize({ width: 900, height: 600 });
  await expect.poll(async () => (await size())!.columns).toBeLessThan(90);
  const { columns, rows } = (await size())!;
  await page.getByRole('button', { name: 'Tell the guest this size' }).click();
  await expect.poll(() => typed(page)).toBe(` stty rows ${rows} columns ${columns}\r`);
});

test('all colours are drawn, and wide characters, without a graphics card too', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm-rows').waitFor();
  await page.evaluate(id => {
    scripted.consoles
      .get(id)!
      .print('\x1b[38;2;200;10;20mtrue\x1b[0m \x1b[48;5;202mpalette\x1b[0m \u5b57\u5b57 wide\r\n');
  }, DEBIAN);
  const colour = (text: string, what: 'color' | 'backgroundColor') =>
    page
      .locator('.xterm-rows span', { hasText: text })
      .last()
      .evaluate((element, name) => getComputedStyle(element)[name], what);
  await expect.poll(() => colour('true', 'color')).toBe('rgb(200, 10, 20)');
  expect(await colour('palette', 'backgroundColor')).toBe('rgb(255, 95, 0)');
});

test('Control+K is the shell’s while the console has the focus, the palette’s elsewhere', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').click();
  await page.keyboard.press('Control+K');
  await expect.poll(() => typed(page)).toBe('\x0b');
  expect(await page.getByRole('dialog').count()).toBe(0);
  await page.keyboard.press('Control+Shift+P');
  await page.getByRole('dialog', { name: 'Command palette' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'Console' }).focus();
  await page.keyboard.press('Control+K');
  await page.getByRole('dialog', { name: 'Command palette' }).waitFor();
});

test('search finds, counts and gives the focus back', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').click();
  await page.keyboard.press('Control+Shift+F');
  await page.keyboard.type('debian');
  await page.getByText(/^\d+ of \d+$/).waitFor();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await page.keyboard.type('q');
  await expect.poll(() => typed(page)).toBe('q');
});

test('a terminal keeps its lines while other machines and tabs are shown', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').click();
  await page.keyboard.type('unforgettable');
  await page
    .getByRole('navigation')
    .getByRole('link', { name: /Build server/ })
    .click();
  await page.getByRole('heading', { name: 'Build server' }).waitFor();
  await page
    .getByRole('navigation')
    .getByRole('link', { name: /^Debian/ })
    .click();
  await page.locator('.xterm').click();
  await page.keyboard.press('Control+Shift+F');
  await page.keyboard.type('unforgettable');
  await page.getByText('1 of 1').waitFor();
});

test('links of the guest are asked about by the host, and only https', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').click();
  const rows = await page.evaluate(id => scripted.consoles.get(id)!.size!.rows, DEBIAN);
  await page.evaluate(
    id => scripted.consoles.get(id)!.print('\x1b[2J\x1b[Hhttps://example.org/a http://example.org/b'),
    DEBIAN,
  );
  const box = (await page.locator('.xterm-screen').boundingBox())!;
  const cell = { width: box.width / 128, height: box.height / rows };
  await page.mouse.move(box.x + 5 * cell.width, box.y + cell.height / 2);
  await expect.poll(() => page.locator('.xterm-cursor-pointer').count()).toBe(1);
  await page.mouse.click(box.x + 5 * cell.width, box.y + cell.height / 2);
  await expect
    .poll(() => lastCall(page))
    .toEqual({ name: 'open-external', arguments: { url: 'https://example.org/a' } });
  await page.mouse.click(box.x + 30 * cell.width, box.y + cell.height / 2);
  await page.getByText('Only https links are opened').waitFor();
  expect((await calls(page)).length).toBe(1);
});

test('output of 20 MB is shown with never more on the way than the window', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').waitFor();
  const { seconds, ahead } = await page.evaluate(async id => {
    const view = scripted.consoles.get(id)!;
    const start = performance.now();
    await view.flood(20e6);
    return { seconds: (performance.now() - start) / 1000, ahead: view.mostAhead };
  }, DEBIAN);
  expect(ahead).toBeLessThanOrEqual(512 * 1024);
  // The budget is 5 MB/s; how near a busy machine comes is the bench's matter, a page that hangs is this test's.
  expect(20 / seconds).toBeGreaterThan(0.5);
});

test('a suspended machine says that it goes on from there', async () => {
  const page = await open(`#/machine/${SUSPENDED}/console`);
  await page.getByText('The machine is suspended').waitFor();
  await page.locator('header').getByText('Suspended', { exact: true }).waitFor();
  await page.getByRole('tabpanel').getByRole('button', { name: 'Resume' }).click();
  await page.getByText('The machine is suspended').waitFor({ state: 'detached' });
  expect(await lastCall(page)).toEqual({ name: 'start', arguments: {} });
});

test('several consoles side by side, each typed at by itself', async () => {
  const page = await open('#/consoles');
  await expect.poll(() => page.locator('.xterm').count()).toBe(3);
  await page.getByRole('region', { name: 'Debian' }).locator('.xterm').click();
  await page.keyboard.type('here');
  await page.getByRole('region', { name: 'Build server' }).locator('.xterm').click();
  await page.keyboard.type('there');
  await expect.poll(() => typed(page)).toBe('here');
  expect(await page.evaluate(id => scripted.consoles.get(id)!.typed, identityOf(1))).toBe('there');
  await page.getByRole('link', { name: 'Debian', exact: true }).last().click();
  await page.getByRole('heading', { name: 'Debian', level: 1 }).waitFor();
});
