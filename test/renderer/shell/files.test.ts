// Palette, settings, and files that come from outside.
import { expect, test } from 'vitest';
import { lastCall, useShell } from './fixture.ts';
import { NOW } from './page/scripted-library.ts';

const open = useShell();

test('the palette runs what is typed', async () => {
  const page = await open();
  await page.keyboard.press('Control+K');
  await page.keyboard.type('dark');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
  expect(await lastCall(page)).toEqual({ name: 'change-settings', arguments: { change: { theme: 'dark' } } });
});

test('a setting that the host refuses goes back to what it was', async () => {
  const page = await open('#/settings');
  await page.evaluate(() => scripted.fail('change-settings', { kind: 'io', message: 'Refused', context: {} }));
  const choice = page.getByRole('switch', { name: 'Copy what is selected' });
  await choice.click();
  await page.getByRole('alert').waitFor();
  await expect.poll(() => choice.isChecked()).toBe(false);
});

test('a dropped checkpoint shows what it holds before it is imported', async () => {
  const page = await open();
  await page.evaluate(now => {
    scripted.preview = {
      kind: 'checkpoint',
      preview: {
        name: 'ready for the demo',
        note: 'ask Ada',
        takenAt: now - 60_000,
        memory: 512 * 1024 ** 2,
        machineName: 'Demo',
        disks: [{ device: 'vda', size: 8 * 1024 ** 3 }],
        bytes: 212e6,
        writer: 'Afterimage 0.1.0',
      },
    };
  }, NOW);
  await page.evaluate(`{
    const data = new DataTransfer();
    data.items.add(new File(['x'], 'demo.afterimage-checkpoint'));
    for (const type of ['dragenter', 'dragover', 'drop'])
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }`);
  const dialog = page.getByRole('dialog', { name: 'Import checkpoint' });
  await dialog.waitFor();
  expect(await dialog.innerText()).toMatch(/ready for the demo[\s\S]*ask Ada[\s\S]*512 MiB[\s\S]*vda, 8 GiB/);
  await dialog.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('heading', { name: 'Demo', level: 1 }).waitFor();
});

test('a dropped kernel becomes a new machine’s kernel', async () => {
  const page = await open();
  await page.evaluate(() => {
    scripted.preview = { kind: 'kernel', bytes: 22e6 };
    scripted.emit({
      event: 'file-opened',
      file: { token: `file-${'a'.repeat(32)}`, name: 'vmlinuz-6.18', bytes: 22e6, kind: 'kernel' },
    });
  });
  await page.getByRole('button', { name: 'New machine with this kernel…' }).click();
  await page.getByRole('dialog', { name: 'New machine' }).waitFor();
  await page.getByText('vmlinuz-6.18').waitFor();
  await page.getByRole('button', { name: 'Create and start' }).click();
  await expect.poll(() => lastCall(page)).toMatchObject({ name: 'create-machine' });
  expect((await lastCall(page))?.arguments).toMatchObject({
    boot: { kind: 'files', kernel: `file-${'a'.repeat(32)}` },
  });
});
