// The form of a new machine: what is filled in, what is wrong with it, and what it becomes.
import { GIB, MEMORY_LIMITS, MIB, MOST_DISKS } from '../../../engine/api/settings.ts';
import type { NewMachine } from '../../../preload/contract/app-calls.ts';
import type { ChosenFile } from '../../../preload/contract/files.ts';
import { CREATE } from '../../text/library.ts';

export type FileRole = 'kernel' | 'initrd' | 'firmware' | 'elf';
export const FILE_ROLES = ['kernel', 'initrd', 'firmware', 'elf'] as const satisfies readonly FileRole[];

type DiskMode = 'persistent' | 'temporary' | 'readonly';
type DiskFormat = 'qcow2' | 'raw';

export class DiskForm {
  /** Of a disk that is there already. */
  readonly file: ChosenFile | undefined;
  /** As typed, in GiB. */
  size = $state('8');
  format = $state<DiskFormat>('qcow2');
  mode = $state<DiskMode>('persistent');

  constructor(file?: ChosenFile) {
    this.file = file;
    if (file !== undefined) this.format = file.kind === 'qcow2' ? 'qcow2' : 'raw';
  }

  get bytes(): number {
    return Math.round(Number(this.size.replace(',', '.')) * GIB);
  }

  get problem(): string | undefined {
    if (this.file !== undefined) return undefined;
    const { bytes } = this;
    return Number.isFinite(bytes) && bytes >= MIB && bytes <= 8192 * GIB ? undefined : CREATE.problems.size;
  }
}

/** Half a machine to half of what one WebAssembly memory can hold. */
export const MEMORY_CHOICES: readonly number[] = [256 * MIB, MEMORY_LIMITS.usual, GIB, 2 * GIB, MEMORY_LIMITS.largest];

/** `Debian`, then `Debian 2` and so on. */
export function freeName(taken: readonly string[]): string {
  const known = new Set(taken.map(name => name.toLowerCase()));
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? CREATE.usualName : `${CREATE.usualName} ${number}`;
    if (!known.has(name.toLowerCase())) return name;
  }
}

export class NewMachineForm {
  readonly #taken: () => readonly string[];
  name = $state('');
  kind = $state<'guest' | 'files'>('guest');
  memory = $state<number>(MEMORY_LIMITS.usual);
  files = $state.raw<Readonly<Partial<Record<FileRole, ChosenFile>>>>({});
  append = $state('');
  disks = $state.raw<readonly DiskForm[]>([]);
  everyMinutes = $state(0);
  start = $state(true);

  /** `taken`: the names of the machines that there are now. */
  constructor(taken: () => readonly string[]) {
    this.#taken = taken;
    this.name = freeName(taken());
  }

  get full(): boolean {
    return this.disks.length >= MOST_DISKS;
  }

  setFile(role: FileRole, file: ChosenFile | undefined): void {
    const { [role]: _, ...rest } = this.files;
    this.files = file === undefined ? rest : { ...rest, [role]: file };
  }

  addDisk(file?: ChosenFile): void {
    if (!this.full) this.disks = [...this.disks, new DiskForm(file)];
  }

  removeDisk(disk: DiskForm): void {
    this.disks = this.disks.filter(one => one !== disk);
  }

  /** Known at once, and worth saying before anything is tried. */
  readonly nameTaken = $derived.by(() => {
    const name = this.name.trim().toLowerCase();
    return this.#taken().some(one => one.toLowerCase() === name);
  });
  readonly nameProblem = $derived.by(() => {
    if (this.name.trim() === '') return CREATE.problems.name;
    return this.nameTaken ? CREATE.problems.taken : undefined;
  });
  readonly bootProblem = $derived(
    this.kind === 'guest' || this.files.kernel || this.files.firmware || this.files.elf
      ? undefined
      : CREATE.problems.boot,
  );
  readonly usable = $derived(
    this.nameProblem === undefined &&
      this.bootProblem === undefined &&
      this.disks.every(disk => disk.problem === undefined),
  );

  result(): NewMachine {
    const append = this.append.trim();
    const said = append === '' ? {} : { append };
    const files = Object.fromEntries(Object.entries(this.files).map(([role, file]) => [role, file.token]));
    return {
      name: this.name.trim(),
      memory: this.memory,
      boot: this.kind === 'guest' ? { kind: 'guest', ...said } : { kind: 'files', ...files, ...said },
      disks: this.disks.map(disk =>
        disk.file === undefined
          ? { kind: 'new', size: disk.bytes, format: disk.format }
          : { kind: 'existing', file: disk.file.token, format: disk.format, mode: disk.mode },
      ),
      ...(this.everyMinutes > 0 && { automatic: automaticEvery(this.everyMinutes) }),
      start: this.start,
    };
  }
}

/** The rest as machines usually have it (USUAL_AUTOMATIC of engine/api). */
function automaticEvery(everyMinutes: number): NonNullable<NewMachine['automatic']> {
  return {
    everyMinutes,
    beforeStop: false,
    beforeRestore: true,
    retention: { last: 8, hourly: 24, daily: 14 },
  };
}
