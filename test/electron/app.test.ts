// The app as its user has it: the real main and preload code, the real pages, real machines, in Electron's stand-in.
import { existsSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runDisk } from '../../main/cli/disk-client.ts';
import { create, MEMORY, machineCall, waitForOutput } from './machines.ts';
import { chromiumForTests, runApp } from './running-app.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await chromiumForTests();
});

afterAll(async () => {
  await browser?.close();
});

describe('a machine', () => {
  test('boots in a utility process, is typed at, checkpointed from the tray, and is suspended at the end', async () => {
    await using running = await runApp(browser);
    const { standIn, app } = running;
    const machine = await create(running, 'Debian');
    expect(await machineCall(running, machine, 'start')).toMatchObject({ ok: true });
    await waitForOutput(running, machine, 'root@afterimage:~# ');
    expect(await waitForOutput(running, machine, '42718\r\n', 'echo $((40000 + 2718))\r')).toContain('42718');
    expect(standIn.children).toHaveLength(2);

    await expect.poll(() => standIn.trayMenu.map(({ label }) => label)).toContain('Debian');
    standIn.item(standIn.trayMenu, 'Debian', 'Quick Snapshot').click?.();
    await expect
      .poll(() => standIn.notifications.at(-1)?.body, { timeout: 60_000 })
      .toMatch(/paused for [\d,]+ (µs|ms)/);
    const tree = await machineCall(running, machine, 'tree');
    expect(tree).toMatchObject({ result: { nodes: [{ name: expect.stringContaining('Quick snapshot') }] } });

    // Quitting: machines first, then the app.
    standIn.app.quit();
    expect(standIn.app.ended).toBe(false);
    await expect.poll(() => standIn.app.ended, { timeout: 60_000 }).toBe(true);
    expect(app.running()).toEqual([]);
  });

  test('whose process is killed is told of, and starts again', async () => {
    await using running = await runApp(browser);
    const { standIn } = running;
    const machine = await create(running, 'Debian');
    await machineCall(running, machine, 'start');
    await waitForOutput(running, machine, 'Linux version');
    process.kill(standIn.children.at(-1)!, 'SIGKILL');
    await expect.poll(() => standIn.notifications.at(-1)?.title, { timeout: 20_000 }).toBe('Debian has ended');
    expect(running.app.machine(machine).status.state).toBe('failed');
    expect(await machineCall(running, machine, 'start')).toMatchObject({ ok: true });
    await waitForOutput(running, machine, 'Linux version');
    await machineCall(running, machine, 'stop', { force: true });
  });
});

test('a disk is looked into by a process of its own, and copied into the new machine', async () => {
  await using running = await runApp(browser);
  const disk = path.join(running.folder, 'own.qcow2');
  await runDisk({ kind: 'create', file: disk, format: 'qcow2', size: 64 * 1024 * 1024, options: {} }, () => {});
  running.standIn.openPath = disk;
  const chosen = await running.window.page.evaluate(() => {
    const { afterimage } = globalThis as unknown as {
      afterimage: { chooseFile(purpose: string): Promise<{ result: { token: string } }> };
    };
    return afterimage.chooseFile('disk');
  });
  const { token } = chosen.result;
  const preview = await running.call('preview-file', { file: token });
  expect(preview).toMatchObject({ result: { kind: 'disk', format: 'qcow2', virtualSize: 64 * 1024 * 1024 } });
  const damaged = path.join(running.folder, 'damaged.qcow2');
  await writeFile(damaged, 'QFI');
  const bad = await running.app.files.add(damaged);
  expect(await running.call('preview-file', { file: bad.token })).toMatchObject({ ok: false });
  const made = await running.call('create-machine', {
    name: 'With disk',
    memory: MEMORY,
    boot: { kind: 'guest' },
    disks: [{ kind: 'existing', file: token, format: 'qcow2', mode: 'persistent' }],
  });
  expect(made).toMatchObject({ ok: true });
  const { machine } = made.result as unknown as { machine: string };
  expect(running.app.machine(machine).record?.disks).toMatchObject([{ format: 'qcow2', mode: 'persistent' }]);
});

test('a checkpoint dragged out outlives its machine: dropped in again, it goes on', async () => {
  await using running = await runApp(browser);
  const { standIn, window } = running;
  const machine = await create(running, 'Debian');
  await machineCall(running, machine, 'start');
  await waitForOutput(running, machine, 'root@afterimage:~# ');
  await waitForOutput(running, machine, '42718\r\n', 'echo precious > /tmp/kept; echo $((40000 + 2718))\r');
  const taken = await machineCall(running, machine, 'checkpoint', { name: 'on the way' });
  const { id } = taken.result as unknown as { id: string };
  expect(await running.call('start-drag', { machine, id })).toMatchObject({ result: { started: false } });
  expect(await running.call('prepare-drag', { machine, id })).toMatchObject({ ok: true });
  expect(await running.call('start-drag', { machine, id })).toMatchObject({ result: { started: true } });
  const [dragged] = window.webContents.dragged;
  expect(path.basename(dragged!.file)).toBe('Debian - on the way.afterimage-checkpoint');
  // Where the user let go of it.
  const kept = path.join(running.folder, 'kept.afterimage-checkpoint');
  await copyFile(dragged!.file, kept);

  expect(await running.call('delete-machine', { machine })).toMatchObject({ ok: true });
  expect(standIn.trashed).toEqual([path.join(running.library, 'debian')]);
  await expect.poll(() => running.app.machines.view().machines.length).toBe(0);

  const dropped = await window.page.evaluate(file => {
    const { afterimage } = globalThis as unknown as {
      afterimage: { droppedFile(file: File): Promise<{ result: { token: string } }> };
    };
    return afterimage.droppedFile(Object.assign(new File(['x'], 'kept'), { standInPath: file }));
  }, kept);
  const { token } = dropped.result;
  expect(await running.call('preview-file', { file: token })).toMatchObject({
    result: { kind: 'checkpoint', preview: { name: 'on the way', machineName: 'Debian', memory: MEMORY } },
  });
  const imported = await running.call('import-checkpoint', { file: token, name: 'Again', start: true });
  expect(imported).toMatchObject({ ok: true, result: { name: 'Again' } });
  const { machine: again } = imported.result as unknown as { machine: string };
  const shown = await waitForOutput(running, again, 'precious\r\n', 'cat /tmp/kept\r');
  expect(shown).toContain('precious');
  await machineCall(running, again, 'stop', { force: true });
});

describe('the program', () => {
  test('is one: a second instance hands over its files and ends', async () => {
    await using running = await runApp(browser);
    const file = path.join(running.folder, 'from afar.afterimage-checkpoint');
    await writeFile(file, 'not really one');
    await running.call('opened-files');
    // Other programs give anything.
    const elsewhere = 'file://another.example/b.afterimage-checkpoint';
    running.standIn.app.emit('second-instance', {}, ['program', elsewhere, '--flag', file, '/etc/passwd'], '/');
    await expect.poll(() => running.window.page.getByText('from afar').count()).toBeGreaterThan(0);
  });

  test('has a folder of its own for each library, so one instance each', async () => {
    await using running = await runApp(browser);
    expect(running.standIn.app.paths.get('userData')).toBe(path.join(running.library, '.app/electron'));
  });

  test('is there again when its user thinks better of quitting with the last window closed', async () => {
    await using running = await runApp(browser);
    const { standIn } = running;
    const machine = await create(running, 'Debian');
    await machineCall(running, machine, 'start');
    await running.call('change-settings', { change: { keepInTray: false, onQuit: 'ask' } });
    standIn.answer = 2;
    await running.window.close();
    await expect.poll(() => standIn.questions.length).toBe(1);
    await expect.poll(() => standIn.windows[0]?.webContents.page !== undefined).toBe(true);
    expect(standIn.app.ended).toBe(false);
    await standIn.windows[0]!.page.getByText('Debian').first().waitFor();
  });

  test('opens the file that it was started with', async () => {
    await using first = await runApp(browser);
    const file = path.join(first.folder, 'given.afterimage-checkpoint');
    await writeFile(file, 'not really one');
    await using running = await runApp(browser, ['--flag', file]);
    await expect.poll(() => running.window.page.getByText('given').count()).toBeGreaterThan(0);
  });

  test('has a menu whose items reach the page, with the usual keys', async () => {
    await using running = await runApp(browser);
    const { standIn } = running;
    const item = standIn.item(standIn.menu, 'File', 'New Machine…');
    expect(item.accelerator).toBe('CommandOrControl+Shift+N');
    item.click?.();
    await running.window.page.getByRole('dialog').waitFor();
    const taken = (menu: readonly object[]): string[] =>
      menu.flatMap(one => {
        const { accelerator, submenu } = one as { accelerator?: string; submenu?: object[] };
        return [...(accelerator === undefined ? [] : [accelerator]), ...taken(submenu ?? [])];
      });
    const accelerators = taken(standIn.menu);
    expect(new Set(accelerators).size).toBe(accelerators.length);
  });

  test('remembers its window, and the theme and shortcut of its user', async () => {
    await using running = await runApp(browser);
    const { standIn } = running;
    expect([...standIn.shortcuts.keys()]).toEqual(['CommandOrControl+Alt+S']);
    await running.call('change-settings', { change: { quickSnapshotShortcut: 'Alt+F9' } });
    expect([...standIn.shortcuts.keys()]).toEqual(['Alt+F9']);
    standIn.shortcuts.get('Alt+F9')?.();
    await expect.poll(() => standIn.notifications.at(-1)?.title).toBe('No quick snapshot');
    running.window.maximized = true;
    await running.window.close();
    const kept = path.join(running.library, '.app/window.json');
    await expect.poll(() => existsSync(kept)).toBe(true);
    expect(JSON.parse(await readFile(kept, 'utf8'))).toMatchObject({ width: 1280, maximized: true });
    // It stays in the tray, and comes back from there.
    expect(standIn.app.ended).toBe(false);
    standIn.item(standIn.trayMenu, 'Open Afterimage').click?.();
    await expect.poll(() => standIn.windows.length).toBe(1);
    expect(standIn.windows[0]?.maximized).toBe(true);
  });

  test('takes a console out into a window of its own', async () => {
    await using running = await runApp(browser);
    const machine = await create(running, 'Debian');
    expect(await running.call('detach-console', { machine })).toMatchObject({ ok: true });
    await expect.poll(() => running.standIn.windows.length).toBe(2);
    const detached = running.standIn.windows[1]!;
    await expect.poll(() => detached.webContents.getURL()).toBe(`app://afterimage/#/console/${machine}`);
    expect(detached.options.webPreferences).toMatchObject({ sandbox: true, contextIsolation: true });
    await detached.close();
    expect(await running.call('library')).toMatchObject({ ok: true });
  });

  test('that is the second does nothing but end', async () => {
    await using first = await runApp(browser);
    const { StandIn } = await import('./stand-in/stand-in.ts');
    const { startApp } = await import('../../main/app/start.ts');
    const standIn = new StandIn(browser, first.folder);
    standIn.app.isSecond = true;
    const started = await startApp({
      electron: standIn.module(),
      arguments_: [],
      machineEntry: '',
      diskProcess: { entry: '', module: '' },
      root: '',
      library: first.library,
      log: () => {},
    });
    expect([started, standIn.app.ended, standIn.windows.length]).toEqual([undefined, true, 0]);
  });
});
