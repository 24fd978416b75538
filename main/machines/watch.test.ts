import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { putMachine, recordOf, smallKernel, testLibrary } from '../../test/framework/machine-library.ts';
import { nameOf } from './entries.ts';
import { type LibraryChange, LibraryWatch } from './watch.ts';

/** What a watch tells, as text, to be waited for. */
async function watching(library: ReturnType<typeof testLibrary>['library']) {
  const told: string[] = [];
  let look = () => {};
  const textOf = (change: LibraryChange) => {
    if (!('entry' in change)) return change.kind;
    const { entry } = change;
    return `${change.kind} ${nameOf(entry)} ${entry.kind === 'machine' ? entry.status.state : 'broken'}`;
  };
  const errors: unknown[] = [];
  const watch = await LibraryWatch.start(
    {
      folder: library.folder,
      list: () => library.list(),
      onChange: change => {
        told.push(textOf(change));
        look();
      },
      onError: thrown => errors.push(thrown),
    },
    await library.list(),
  );
  onTestFinished(() => watch.close());
  const tells = async (text: string) => {
    while (!told.includes(text)) {
      await new Promise<void>(resolve => {
        look = resolve;
      });
    }
    expect(errors).toEqual([]);
    return told.splice(0);
  };
  return { tells };
}

describe('watching a library', () => {
  it('what others do appears by itself', async () => {
    const { library, folder } = testLibrary();
    putMachine(folder, 'old');
    const { tells } = await watching(library);
    const made = putMachine(folder, 'new');
    await tells('appeared new off');
    writeFileSync(path.join(made, 'machine.json'), JSON.stringify(recordOf({ name: 'Renamed' })));
    await tells('changed Renamed off');
    writeFileSync(path.join(made, 'machine.json'), '{');
    await tells('changed new broken');
    renameSync(path.join(folder, 'old'), path.join(folder, 'moved'));
    // The same machine in another folder.
    expect(await tells('appeared old off')).toContain('vanished old off');
    rmSync(made, { recursive: true });
    await tells('vanished new broken');
  });

  it('a machine that another program starts, stops or loses is seen', async () => {
    const { library, engines } = testLibrary();
    const boot = { kind: 'files' as const, kernel: smallKernel(), append: 'talk' };
    const { folder } = await library.create({ name: 'a', boot });
    const { tells } = await watching(library);
    const { connection } = await library.open(folder);
    await connection.call('start', {});
    await tells('changed a running');
    engines.at(-1)!.kill();
    await tells('changed a off');
  });

  it('a library that vanishes is reported, and one that comes back is watched again', async () => {
    const { library, folder } = testLibrary();
    putMachine(folder, 'one');
    const { tells } = await watching(library);
    renameSync(folder, `${folder}-away`);
    expect(await tells('vanished one off')).toContain('library-vanished');
    renameSync(`${folder}-away`, folder);
    expect(await tells('appeared one off')).toContain('library-appeared');
    putMachine(folder, 'two');
    await tells('appeared two off');
  });

  it('a library that is not there yet is waited for', async () => {
    const { library, folder } = testLibrary();
    const { tells } = await watching(library);
    mkdirSync(folder, { recursive: true });
    await tells('library-appeared');
    putMachine(folder, 'first');
    await tells('appeared first off');
  });
});
