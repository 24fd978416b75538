// Pictures of the real app that the README shows: kept where git ignores them unless KEEP_PICTURES is set.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright-core';

const ROOT = path.resolve(import.meta.dirname, '../..');
const FOLDER = process.env.KEEP_PICTURES === undefined ? 'test/.artefacts/app' : 'docs/screenshots';

export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = path.join(ROOT, FOLDER);
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled' });
}
