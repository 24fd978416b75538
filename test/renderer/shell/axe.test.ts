// What the accessibility checker finds in every view, dialog and menu of the app, in both themes: nothing.
import { expect, test } from 'vitest';
import { violations } from '../harness/axe.ts';
import { useShell } from './fixture.ts';
import { PLACES } from './places.ts';

const open = useShell();
/** Most of the time is waiting. */
const AT_A_TIME = 3;

for (const theme of ['light', 'dark'] as const) {
  test(`nothing is found anywhere, ${theme}`, async () => {
    const left = [...PLACES];
    const found: string[] = [];
    const checkNext = async (): Promise<void> => {
      for (let place = left.shift(); place !== undefined; place = left.shift()) {
        const page = await open(place.path, { theme });
        await place.prepare?.(page);
        for (const violation of await violations(page)) found.push(`${place.name}: ${violation}`);
        await page.close();
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, checkNext));
    expect(found).toEqual([]);
  });
}
