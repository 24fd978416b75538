// Files in a browser: uploads instead of paths, downloads instead of dialogs.
import type { Answer } from '../contract/afterimage.ts';
import { CHECKPOINT_EXTENSION, type FilePurpose } from '../contract/files.ts';
import { PATHS } from '../contract/socket.ts';

type Progress = ((done: number, total: number) => void) | undefined;

const ACCEPTED: Readonly<Partial<Record<FilePurpose, string>>> = {
  checkpoint: `.${CHECKPOINT_EXTENSION},.checkpoint`,
  disk: '.qcow2,.raw,.img',
};

/** Shows the browser's dialog; undefined when it was closed without a file. */
export function askForFile(purpose: FilePurpose): Promise<File | undefined> {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = ACCEPTED[purpose] ?? '';
  return new Promise(resolve => {
    input.addEventListener('change', () => resolve(input.files?.[0]));
    input.addEventListener('cancel', () => resolve(undefined));
    input.click();
  });
}

/** Answers with the ChosenFile. `fetch` cannot tell how far it is. */
export function upload(file: File, progress: Progress): Promise<Answer> {
  const request = new XMLHttpRequest();
  return new Promise(resolve => {
    const fail = (message: string) =>
      resolve({ ok: false, error: { kind: 'io', message, context: { file: file.name } } });
    request.upload.addEventListener('progress', ({ loaded, total }) => progress?.(loaded, total));
    request.addEventListener('error', () => fail('The file could not be sent to the host'));
    request.addEventListener('load', () => {
      try {
        resolve(JSON.parse(request.responseText) as Answer);
      } catch {
        fail('The host did not take the file');
      }
    });
    request.open('POST', `${PATHS.upload}?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.send(file);
  });
}

export function downloadUrl(machine: string, id: string): string {
  return new URL(`${PATHS.download}/${machine}/${id}`, location.href).href;
}

export function download(address: string): void {
  const link = document.createElement('a');
  link.href = address;
  link.download = '';
  link.click();
}
