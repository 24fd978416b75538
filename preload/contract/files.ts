// Files of the host that the user points at. Pages know them by token only.
import type { ImportPreview } from '../../engine/api/checkpoints.ts';

export type FilePurpose = 'checkpoint' | 'disk' | 'kernel' | 'initrd' | 'firmware' | 'elf' | 'raw-store' | 'any';

/** What a file seems to be by its name; what it holds, only a machine's process finds out. */
export type FileKind = 'checkpoint' | 'qcow2' | 'raw' | 'kernel' | 'unknown';

export interface ChosenFile {
  readonly token: string;
  /** Last part of its path, shown as text. */
  readonly name: string;
  readonly bytes: number;
  readonly kind: FileKind;
}

export type FilePreview =
  | { readonly kind: 'checkpoint'; readonly preview: ImportPreview }
  | {
      readonly kind: 'disk';
      readonly format: 'raw' | 'qcow2';
      /** Bytes that a guest sees. */
      readonly virtualSize: number;
      readonly allocatedSize: number;
      /** It stands on another file, which is copied with it. */
      readonly backing?: string;
    }
  | { readonly kind: 'kernel' | 'unknown'; readonly bytes: number };

/** File name ending of exported checkpoints; the file association has it too. */
export const CHECKPOINT_EXTENSION = 'afterimage-checkpoint';

/** By the name alone. */
export function fileKind(name: string): FileKind {
  const lower = name.toLowerCase();
  if (lower.endsWith(`.${CHECKPOINT_EXTENSION}`) || lower.endsWith('.checkpoint')) return 'checkpoint';
  if (lower.endsWith('.qcow2')) return 'qcow2';
  if (/\.(raw|img)$/.test(lower)) return 'raw';
  if (/^(vmlinuz?|image)\b/.test(lower) || /\.(elf|efi)$/.test(lower)) return 'kernel';
  return 'unknown';
}
