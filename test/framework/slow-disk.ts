// A machine's disk whose every file operation takes a fixed time, as on a disk far away.
import path from 'node:path';
import type { DiskSettings } from '../../engine/api/settings.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { openChain } from '../../engine/disk/chain/open.ts';
import type { Disk, HostFile } from '../../engine/disk/disk.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { HostFolder } from '../../engine/host/disk-folder.ts';

class SlowFolder extends HostFolder {
  readonly #milliseconds: number;

  constructor(root: string, milliseconds: number) {
    super(root);
    this.#milliseconds = milliseconds;
  }

  override async open(name: string, mode: 'read' | 'write'): Promise<HostFile> {
    return slow(await super.open(name, mode), this.#milliseconds);
  }
}

function slow(file: HostFile, milliseconds: number): HostFile {
  const later = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    await new Promise(resolve => setTimeout(resolve, milliseconds));
    return await run();
  };
  return {
    name: file.name,
    readonly: file.readonly,
    size: () => file.size(),
    read: (at, into) => later(() => file.read(at, into)),
    write: (at, from) => later(() => file.write(at, from)),
    flush: () => later(() => file.flush()),
    truncate: size => file.truncate(size),
    close: () => file.close(),
  };
}

/** For `EngineParts.openDisk`: reads, writes and flushes of each layer take so long. */
export function openSlowDisk(milliseconds: number): (settings: DiskSettings) => Promise<Disk> {
  return async ({ path: file, format = 'raw', readonly }) => {
    const folder = new SlowFolder(path.dirname(file), milliseconds);
    const access = readonly ? 'read' : 'write';
    return new LiveDisk(
      await openChain(folder, { path: path.basename(file), format }, { access, codecs: clusterCodecs }),
    );
  };
}
