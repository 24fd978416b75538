// The checkpoint tree in a browser, with a scripted machine behind it.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { violations } from '../harness/axe.ts';
import { appCallsOf, callsOf, useHarness } from '../harness/fixture.ts';

const harness = useHarness();

const tree = (page: Page) => page.getByRole('tree');
/** The first with exactly this name. */
const row = (page: Page, name: string) =>
  page
    .getByRole('treeitem')
    .filter({ has: page.getByText(name, { exact: true }) })
    .first();

async function openTree(query = '', options = {}): Promise<Page> {
  const page = await harness.open(`view=tree&checkpoints=30&${query}`, options);
  await page.getByRole('treeitem').first().waitFor();
  return page;
}

/** Name of the selected row, which the tree points at for screen readers. */
async function active(page: Page): Promise<string | null> {
  return await page.evaluate(() => {
    const id = document.querySelector('[role=tree]')?.getAttribute('aria-activedescendant');
    const element = id == null ? null : document.getElementById(id);
    return element?.getAttribute('aria-selected') === 'true'
      ? element.textContent.replaceAll(/\s+/g, ' ').trim()
      : null;
  });
}

test('the present state is the first row, then the newest checkpoint, and each says who it comes after', async () => {
  const page = await openTree();
  const texts = await page.getByRole('treeitem').allTextContents();
  expect(texts[0]).toMatch(/Now\s*You are here.*The present state, after /s);
  expect(texts[1]).toMatch(/ago.* after /s);
  expect(texts.length).toBeGreaterThan(15);
  const item = page.getByRole('treeitem').nth(3);
  expect(await item.getAttribute('aria-setsize')).toBe('31');
  expect(await item.getAttribute('aria-posinset')).toBe('4');
});

test('arrow keys, Home and End move; Left goes to the checkpoint before, Right to one after', async () => {
  const page = await openTree();
  const { nodes } = await page.evaluate(() => ({ nodes: stage.machine.nodes }));
  await tree(page).focus();
  await page.keyboard.press('Home');
  expect(await active(page)).toMatch(/^Now You are here/);
  await page.keyboard.press('ArrowDown');
  const tip = nodes.at(-1)!;
  expect(await active(page)).toMatch(new RegExp(`^${tip.name}`));
  await page.keyboard.press('ArrowLeft');
  const parent = nodes.find(node => node.id === tip.parent)!;
  const selected = () => page.evaluate(() => document.querySelector('[aria-selected=true]')?.getAttribute('data-row'));
  expect(await selected()).toBe(parent.id);
  await page.keyboard.press('ArrowRight');
  expect(await selected()).toBe(tip.id);
  await page.keyboard.press('End');
  expect(await selected()).toBe(nodes[0]!.id);
  expect(await active(page)).toMatch(/the first one/);
});

test('F2 renames in place; Escape gives it up; the name is shown as text, whatever it is', async () => {
  const page = await openTree();
  await row(page, 'compiler built').click();
  await page.keyboard.press('F2');
  await page.getByLabel('Name', { exact: true }).fill('given up');
  await page.keyboard.press('Escape');
  expect(await callsOf(page, 'rename-checkpoint')).toEqual([]);
  const name = '<img src=x onerror="document.title=1"> & co';
  await page.keyboard.press('F2');
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name }).waitFor();
  expect(await callsOf(page, 'rename-checkpoint')).toMatchObject([{ name }]);
  expect(await page.locator('img').count()).toBe(0);
  expect(await tree(page).evaluate(element => element === document.activeElement)).toBe(true);
});

test('Enter asks before it restores, and keeps the present state unless told otherwise', async () => {
  const page = await openTree();
  await row(page, 'ready for the demo').click();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Restore ready for the demo').waitFor();
  await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
  await page.getByText('ready for the demo restored in').waitFor();
  expect(await callsOf(page, 'restore')).toMatchObject([{ keepCurrent: true, paused: false }]);

  await page.keyboard.press('Enter');
  await dialog.getByLabel('Keep the present state first').uncheck();
  await dialog.getByText('An automatic checkpoint is taken all the same').waitFor();
  await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
  await expect.poll(async () => (await callsOf(page, 'restore')).length).toBe(2);
  expect((await callsOf(page, 'restore'))[1]).toMatchObject({ keepCurrent: false });
});

test('there is nothing to be kept of a machine that is off', async () => {
  const page = await openTree('state=off');
  await row(page, 'ready for the demo').click();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('The machine is off').waitFor();
  await dialog.getByRole('button', { name: 'Restore', exact: true }).click();
  await expect.poll(() => callsOf(page, 'restore')).toMatchObject([{ keepCurrent: false }]);
});

test('a failed restore is told, with its reason', async () => {
  const page = await openTree();
  await page.evaluate(() => {
    stage.machine.failures.set('restore', { kind: 'corrupt', message: 'The checkpoint is damaged', context: {} });
  });
  await row(page, 'ready for the demo').click();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Restore', exact: true }).click();
  await page.getByText('The checkpoint could not be restored').waitFor();
  await page.getByText('The checkpoint is damaged').waitFor();
});

test('deleting tells what it frees and what is merged, before it is done', async () => {
  const page = await openTree();
  await row(page, 'compiler built').click();
  await page.keyboard.press('Delete');
  const dialog = page.getByRole('alertdialog');
  await dialog.getByText('This moment cannot be restored any more').waitFor();
  await dialog
    .getByText(/merged into its file|are freed/)
    .first()
    .waitFor();
  await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('1 checkpoint deleted').waitFor();
  expect(await callsOf(page, 'delete-checkpoint')).toMatchObject([{ subtree: false }]);
  await page.getByText('29 checkpoints').waitFor();
});

test('a protected checkpoint cannot be deleted, and says why', async () => {
  const page = await openTree();
  await row(page, 'compiler built').click();
  await page.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Protect' }).click();
  await expect.poll(() => callsOf(page, 'protect-checkpoint')).toMatchObject([{ protected: true }]);
  await row(page, 'compiler built').getByRole('img', { name: 'Protected' }).waitFor();
  await tree(page).focus();
  await page.keyboard.press('Delete');
  await page.getByText('Take off the protection first').waitFor();
  expect(await page.getByRole('button', { name: 'Delete', exact: true }).isDisabled()).toBe(true);
});

test('the keyboard opens a menu at the row, and Escape gives the focus back', async () => {
  const page = await openTree();
  await row(page, 'compiler built').click();
  await page.keyboard.press('Shift+F10');
  await page.getByRole('menu', { name: 'Actions for compiler built' }).waitFor();
  expect(await page.getByRole('menuitem').allTextContents()).toEqual(
    expect.arrayContaining([expect.stringContaining('Branch'), expect.stringContaining('Clone')]),
  );
  await page.keyboard.press('Escape');
  await page.getByRole('menu').waitFor({ state: 'detached' });
  expect(await tree(page).evaluate(element => element === document.activeElement)).toBe(true);
});

test('search and filter show what fits, with counts, and Escape clears', async () => {
  const page = await openTree();
  await tree(page).focus();
  await page.keyboard.press('/');
  await page.keyboard.type('compiler');
  const found = () => page.getByRole('treeitem').locator('.name').allTextContents();
  await expect.poll(async () => [...new Set(await found())]).toEqual(['Now', 'compiler built']);
  await page.keyboard.press('Escape');
  await page.getByText('30 checkpoints', { exact: true }).waitFor();
  await page.getByLabel('Which checkpoints are shown').selectOption('automatic');
  await expect.poll(async () => [...new Set(await found())]).toEqual(['Now', 'Automatic']);
  await page.getByLabel('Search names and notes').fill('nothing has this');
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.getByText('30 checkpoints', { exact: true }).waitFor();
});

test('two checkpoints are compared by a click with Ctrl, or by choosing the other', async () => {
  const page = await openTree();
  await row(page, 'compiler built').click();
  await row(page, 'ready for the demo').click({ modifiers: ['Control'] });
  await page.getByText('18,244 of 131,072 pages differ').waitFor();
  await page.getByRole('button', { name: 'Close the comparison' }).click();
  await row(page, 'compiler built').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Compare with…' }).click();
  await page.getByText('Select the checkpoint to compare compiler built with').waitFor();
  await row(page, 'works on my machine').click();
  await page.getByText('vda: 212 MiB of 8 GiB differ').waitFor();
});

test('a checkpoint being taken is a row with its progress and a way to give it up', async () => {
  const page = await openTree();
  await page.evaluate(() =>
    stage.machine.announce({
      taking: {
        phase: 'saving',
        name: 'under way',
        origin: 'manual',
        donePages: 4500,
        totalPages: 10_000,
        pauseMicroseconds: 213,
      },
    }),
  );
  const taking = row(page, 'under way');
  await taking.getByText('Saving 45%').waitFor();
  await taking.getByText('paused for 213 µs').waitFor();
  expect(await taking.getAttribute('aria-posinset')).toBe('2');
  await taking.getByRole('button', { name: 'Give it up' }).click();
  await taking.waitFor({ state: 'detached' });
  expect(await callsOf(page, 'cancel-checkpoint')).toHaveLength(1);
});

test('a restore waits for the end of a checkpoint that is being taken', async () => {
  const page = await openTree();
  await page.evaluate(() =>
    stage.machine.announce({
      taking: { phase: 'completing', name: 'under way', origin: 'manual', donePages: 1, totalPages: 1 },
    }),
  );
  await row(page, 'compiler built').click();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Restore', exact: true }).click();
  await row(page, 'compiler built').getByText('Working…').waitFor();
  expect(await callsOf(page, 'restore')).toEqual([]);
  await page.evaluate(() => stage.machine.call('cancel-checkpoint', {}));
  await page.getByText('compiler built restored in').waitFor();
});

test('a lazy restore shows on its checkpoint how much is loaded', async () => {
  const page = await openTree();
  await page.evaluate(() => stage.machine.announce({ absentPages: 65_536 }));
  await page.getByText('Loading 50%').waitFor();
  await page.evaluate(() => stage.machine.announce({ absentPages: 0 }));
  await page.getByText('Loading 50%').waitFor({ state: 'detached' });
});

test('a note is saved when its field is left', async () => {
  const page = await openTree();
  await row(page, 'works on my machine').click();
  await page.getByRole('textbox', { name: 'Note' }).fill('Only there.');
  await tree(page).focus();
  await expect.poll(() => callsOf(page, 'annotate-checkpoint')).toMatchObject([{ note: 'Only there.' }]);
  await row(page, 'works on my machine').getByText('Only there.').waitFor();
});

test('dragging a checkpoint out hands over a download in a browser, and a file in Electron', async () => {
  const drag = (page: Page) =>
    row(page, 'compiler built').evaluate(element => {
      const event = new DragEvent('dragstart', { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() });
      element.dispatchEvent(event);
      return { data: event.dataTransfer?.getData('text/uri-list'), prevented: event.defaultPrevented };
    });
  const inBrowser = await drag(await openTree());
  expect(inBrowser.prevented).toBe(false);
  expect(inBrowser.data).toMatch(/\/download\/[0-9a-f]{32}\/[0-9a-f]{32}$/);
  const native = await openTree('drag=native');
  expect((await drag(native)).prevented).toBe(true);
  await native.getByText('ready to be dragged').waitFor();
  expect(await appCallsOf(native, 'prepare-drag')).toHaveLength(1);
});

test('five hundred checkpoints are drawn within 100 ms, with few elements, and scroll without long frames', async () => {
  const page = await openTree('forks=0.2');
  const times = await page.evaluate(async () => {
    const drawn = async (count: number) => {
      stage.machine.setCheckpoints(count);
      const start = performance.now();
      stage.machine.announceTree();
      const label = `${count} checkpoints`;
      while (document.querySelector('[role=status].count')?.textContent !== label) {
        await new Promise(resolve => requestAnimationFrame(resolve));
      }
      // Style, layout and painting come before the next frame begins.
      await new Promise(resolve => requestAnimationFrame(resolve));
      return performance.now() - start;
    };
    const found: number[] = [];
    for (let turn = 0; turn < 9; turn += 1) {
      await drawn(3);
      found.push(await drawn(500));
    }
    return found.toSorted((a, b) => a - b);
  });
  console.log(`500 checkpoints: best ${times[0]?.toFixed(0)} ms, median ${times[4]?.toFixed(0)} ms`);
  // The best: what else runs on the machine makes some of them slower.
  expect(times[0]).toBeLessThan(100);
  expect(await page.getByRole('treeitem').count()).toBeLessThan(60);

  const frames = await page.evaluate(async () => {
    const list = document.querySelector('[role=tree]')!;
    const lengths: number[] = [];
    let last = await new Promise<number>(resolve => requestAnimationFrame(resolve));
    for (let top = 0; top < 15_000; top += 150) {
      list.scrollTop = top;
      const now = await new Promise<number>(resolve => requestAnimationFrame(resolve));
      lengths.push(now - last);
      last = now;
    }
    return lengths.toSorted((a, b) => a - b);
  });
  console.log(`scrolling: median frame ${frames[50]?.toFixed(1)} ms, 95th percentile ${frames[95]?.toFixed(1)} ms`);
  // The better quarter, for the same reason.
  expect(frames[25]).toBeLessThan(34);
  await page.getByRole('treeitem').first().waitFor();
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
])('axe finds nothing in the %s tree at %i pixels, and nothing is wider than the window', async (theme, width) => {
  const page = await openTree(`theme=${theme}`, { width, height: 844 });
  expect(await violations(page)).toEqual([]);
  await row(page, 'compiler built').click();
  await page.getByRole('img', { name: 'The console when it was taken' }).waitFor();
  expect(await violations(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  await tree(page).focus();
  await page.keyboard.press('Delete');
  await page.getByRole('alertdialog').waitFor();
  expect(await violations(page)).toEqual([]);
});

test('an empty tree says what checkpoints are and offers the first', async () => {
  const page = await harness.open('view=tree&checkpoints=0');
  await page.getByText('No checkpoints yet').waitFor();
  await page.getByRole('button', { name: 'Take the first checkpoint' }).click();
  await page.locator('[data-dialog=checkpoint]').waitFor({ state: 'attached' });
  expect(await violations(page)).toEqual([]);
});
