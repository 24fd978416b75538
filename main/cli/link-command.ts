// Part of the installation: puts `afterimage` beside the other programs in node_modules/.bin, so that `npx afterimage`
// finds it there at once, also many times in parallel. (npm links the commands of dependencies, not the package's own.)
import { symlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const link = path.join(root, 'node_modules/.bin/afterimage');

// Windows needs more than a link; there npx finds the package's command by itself, only slower.
if (process.platform !== 'win32') {
  try {
    unlinkSync(link);
  } catch {
    // there was none
  }
  symlinkSync(path.relative(path.dirname(link), path.join(root, 'main/cli/afterimage.mjs')), link);
}
