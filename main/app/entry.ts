// Electron's main module. Nothing else imports Electron at run time.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as electron from 'electron';
import { startApp } from './start.ts';

const root = path.resolve(import.meta.dirname, '../..');
const { app, dialog } = electron;

/** Processes load their modules, and threads theirs, from files: in a package those are beside the archive. */
function file(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url)).replace(/([\\/]app\.asar)([\\/])/, '$1.unpacked$2');
}

startApp({
  electron,
  arguments_: process.argv.slice(1),
  machineEntry: file('../../engine/host/machine-process.ts'),
  diskProcess: { entry: file('./utility-entry.ts'), module: file('../../engine/host/disk-process.ts') },
  root,
  ...(app.isPackaged ? { guestFolder: path.join(process.resourcesPath, 'guest') } : {}),
  log: text => process.stderr.write(`afterimage: ${text}\n`),
}).catch((thrown: Error) => {
  dialog.showErrorBox('Afterimage cannot start', thrown.message);
  app.exit(1);
});
