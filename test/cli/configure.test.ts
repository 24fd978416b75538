// `afterimage configure`: memory, boot files and disks of a machine that is off.
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { elfFile } from '../../engine/firmware/loaders/samples.ts';
import { smallKernel } from '../framework/machine-library.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { Command, endOf } from './command.ts';

const MIB = 2 ** 20;

function shell() {
  const library = path.join(temporaryFolder(), 'library');
  const run = async (name: string, ...words: string[]) => {
    const { status, stdout, stderr } = await endOf(Command.small([name, '--library', library, ...words]));
    return { status, out: stdout.toString(), err: stderr };
  };
  const json = async (name: string, ...words: string[]) => {
    const { status, out, err } = await run(name, ...words, '--json');
    expect([words, status, err]).toEqual([words, 0, '']);
    return JSON.parse(out);
  };
  return { run, json };
}

it('adds, keeps, attaches and deletes disks, and says what goes', async () => {
  const { run, json } = shell();
  const raw = path.join(temporaryFolder(), 'found.raw');
  writeFileSync(raw, '');
  truncateSync(raw, 3 * MIB);
  await json('create', 'm', '--memory', '64M', '--disk', '1M');
  const added = await json('configure', 'm', '--add-disk', `${raw},readonly`, '--add-disk', '2M,format=raw');
  expect(added.disks).toMatchObject([{ mode: 'persistent' }, { mode: 'readonly' }, { format: 'raw' }]);
  const [first, second, third] = added.disks as { file: string }[];
  // Numbers are those of before, whatever goes first.
  const kept = await json('configure', 'm', '--remove-disk', '0', '--remove-disk', '1', '--disk-mode', '2=temporary');
  expect(kept.disks).toMatchObject([{ file: third!.file, mode: 'temporary' }]);
  const shown = await run('disks', 'm');
  expect(shown.out).toContain(`not in the machine, 3 MiB, kept as ${second!.file}`);
  expect((await json('configure', 'm', '--attach-disk', first!.file)).disks).toMatchObject([
    { file: third!.file },
    { file: first!.file },
  ]);
  const unasked = await run('configure', 'm', '--remove-disk', '1', '--delete-files', '--delete-kept', second!.file);
  expect(unasked).toMatchObject({ status: 2, err: expect.stringContaining('disk 1 (vdb): 1 layer') });
  expect(unasked.err).toContain(second!.file);
  const last = await json(
    ...(['configure', 'm', '--remove-disk', '1', '--delete-files', '--delete-kept', second!.file, '--yes'] as const),
  );
  expect(last).toMatchObject({ disks: [{ file: third!.file }], detached: [] });
  for (const [words, said] of [
    [['--remove-disk', '3'], 'the last one is 0'],
    [['--disk-mode', '0=gone'], '0=gone'],
    [['--attach-disk', 'disks/none.qcow2'], 'no disk of this name was kept'],
    [['--attach-disk', '../other.qcow2'], 'folder'],
    [['--add-disk', '/nothing/here.raw'], '/nothing'],
  ] as const) {
    const refused = await run('configure', 'm', ...words);
    expect([words, refused.status !== 0, refused.err]).toEqual([words, true, expect.stringContaining(said)]);
  }
  expect((await run('tree', 'm', '--verify')).out).toMatch(/all can be restored/);
});

it('changes what boots, and leaves the rest of it', async () => {
  const { run, json } = shell();
  const kernel = smallKernel();
  const file = (name: string, content: string | Uint8Array) => {
    const to = path.join(temporaryFolder(), name);
    writeFileSync(to, content);
    return to;
  };
  const initrd = file('initrd', '070701');
  const elf = file('program.elf', elfFile({ segments: [], entry: 0x80000000n, symbols: {} }));
  const boot = async (...words: string[]) => (await json('configure', 'm', ...words)).boot;
  await json('create', 'm');
  expect(await boot('--append', 'quiet')).toEqual({ kind: 'guest', append: 'quiet' });
  expect(await boot('--kernel', kernel, '--initrd', initrd)).toEqual({
    kind: 'files',
    kernel,
    initrd,
    append: 'quiet',
  });
  expect(await boot('--initrd', '', '--memory', '96M')).toEqual({ kind: 'files', kernel, append: 'quiet' });
  expect(await boot('--elf', elf)).toEqual({ kind: 'files', elf });
  expect(await boot('--kernel', kernel, '--append', 'x')).toEqual({ kind: 'files', kernel, append: 'x' });
  expect(await boot('--guest', '--append', '')).toEqual({ kind: 'guest' });
  expect((await run('configure', 'm', '--kernel', '/nothing/here')).status).toBe(1);
  expect((await run('configure', 'm', '--initrd', initrd)).status).toBe(2);
  expect((await run('configure', 'm', '--guest', '--kernel', kernel)).status).toBe(2);
  expect(await boot('--memory', '64M')).toEqual({ kind: 'guest' });
});
