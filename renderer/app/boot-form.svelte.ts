// What a machine boots, as it is now and as it is changed in its settings.
import type { BootConfiguration } from '../../engine/api/machine.ts';
import type { AppArguments } from '../../preload/contract/app-calls.ts';
import type { ChosenFile } from '../../preload/contract/files.ts';
import { CREATE } from '../text/library.ts';
import { FILE_ROLES, type FileRole } from '../views/library/new-machine.svelte.ts';

type Choice = ChosenFile | 'same';

export class BootForm {
  readonly #before: BootConfiguration;
  kind = $state<'guest' | 'files'>('guest');
  append = $state('');
  #files = $state.raw<Readonly<Partial<Record<FileRole, Choice>>>>({});

  constructor(before: BootConfiguration) {
    this.#before = before;
    this.kind = before.kind;
    this.append = before.append ?? '';
    if (before.kind === 'guest') return;
    const present = FILE_ROLES.filter(role => before[role] !== undefined);
    this.#files = Object.fromEntries(present.map(role => [role, 'same' as const]));
  }

  /** For a machine that is on. */
  get summary(): string {
    const before = this.#before;
    if (before.kind === 'guest') return CREATE.guest;
    return FILE_ROLES.flatMap(role => (before[role] === undefined ? [] : [`${CREATE[role]} ${before[role]}`])).join(
      ', ',
    );
  }

  nameOf(role: FileRole): string | undefined {
    const choice = this.#files[role];
    if (choice !== 'same') return choice?.name;
    return this.#before.kind === 'files' ? this.#before[role]?.split(/[\\/]/).at(-1) : undefined;
  }

  setFile(role: FileRole, file: ChosenFile | undefined): void {
    const { [role]: _, ...rest } = this.#files;
    this.#files = file === undefined ? rest : { ...rest, [role]: file };
  }

  get problem(): string | undefined {
    const { kernel, firmware, elf } = this.#files;
    return this.kind === 'guest' || (kernel ?? firmware ?? elf) !== undefined ? undefined : CREATE.problems.boot;
  }

  /** Undefined when nothing changed. */
  get change(): AppArguments<'change-boot'>['boot'] | undefined {
    const before = this.#before;
    const append = this.append.trim();
    const choices = Object.entries(this.#files);
    const known = before.kind === 'files' ? FILE_ROLES.filter(role => before[role] !== undefined).length : 0;
    const sameFiles = choices.length === known && choices.every(([, choice]) => choice === 'same');
    const same = this.kind === before.kind && append === (before.append ?? '') && (this.kind === 'guest' || sameFiles);
    if (same) return undefined;
    const said = append === '' ? {} : { append };
    if (this.kind === 'guest') return { kind: 'guest', ...said };
    const files = choices.map(([role, choice]) => [role, choice === 'same' ? choice : choice.token] as const);
    return { kind: 'files', ...Object.fromEntries(files), ...said };
  }
}
