// Electron's main module. Nothing else imports Electron at run time.
import path from 'node:path';
import * as electron from 'electron';
import { startApp } from './start.ts';

const root = path.resolve(import.meta.dirname, '../..');

startApp({
  electron,
  arguments_: process.argv.slice(1),
  machineEntry: path.join(root, 'engine/host/machine-process.ts'),
  root,
  log: text => process.stderr.write(`afterimage: ${text}\n`),
}).catch((thrown: Error) => {
  electron.dialog.showErrorBox('Afterimage cannot start', thrown.message);
  electron.app.exit(1);
});
