import type { BootConfiguration } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';

export interface BootOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly firmware?: string;
  readonly elf?: string;
}

/** What options say that a machine boots. @throws AfterimageError `usage` */
export function bootOf({ kernel, initrd, append, firmware, elf }: BootOptions): BootConfiguration {
  if (elf !== undefined && (kernel ?? initrd ?? append ?? firmware) !== undefined) {
    throw new AfterimageError(
      'usage',
      '--elf runs a program alone; it does not go with --kernel, --initrd, --append or --firmware',
    );
  }
  if (initrd !== undefined && kernel === undefined)
    throw new AfterimageError('usage', '--initrd needs the --kernel that it is for');
  const given = Object.entries({ kernel, initrd, append, firmware, elf }).filter(([, value]) => value !== undefined);
  const ownFiles = (kernel ?? firmware ?? elf) !== undefined;
  return { kind: ownFiles ? 'files' : 'guest', ...Object.fromEntries(given) } as BootConfiguration;
}
