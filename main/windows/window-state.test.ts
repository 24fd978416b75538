import { expect, test } from 'vitest';
import { restoredState, SMALLEST, USUAL } from './window-state.ts';

const screen = { x: 0, y: 0, width: 1920, height: 1080 };
const right = { x: 1920, y: 0, width: 1280, height: 1024 };
const kept = { x: 100, y: 50, width: 1000, height: 700, maximized: false };

test('a window comes back where it was', () => {
  expect(restoredState(kept, [screen])).toEqual({
    position: { x: 100, y: 50 },
    width: 1000,
    height: 700,
    maximized: false,
  });
  expect(restoredState({ ...kept, x: 2000 }, [screen, right]).position).toEqual({ x: 2000, y: 50 });
});

test('one that could not be taken hold of is put where the system likes', () => {
  for (const where of [{ x: 2000 }, { x: -990 }, { y: -20 }, { y: 1060 }, { x: 1900 }]) {
    expect(restoredState({ ...kept, ...where }, [screen]), JSON.stringify(where)).not.toHaveProperty('position');
  }
});

test('it is no larger than the largest screen and no smaller than it can be', () => {
  expect(restoredState({ ...kept, width: 5000, height: 4000 }, [right, screen])).toMatchObject({
    width: 1920,
    height: 1080,
  });
  expect(restoredState({ ...kept, width: 1, height: -5 }, [screen])).toMatchObject(SMALLEST);
});

test('what is no state is passed over', () => {
  for (const value of [
    undefined,
    null,
    7,
    'x',
    {},
    { ...kept, width: '1000' },
    { ...kept, x: 1e300 },
    { ...kept, y: 0.5 },
  ]) {
    expect(restoredState(value, [screen])).toEqual(USUAL);
  }
  expect(restoredState(kept, [])).not.toHaveProperty('position');
});
