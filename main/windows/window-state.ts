// Where a window was, and whether it can be there again.
import * as v from 'valibot';

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface WindowState {
  /** Absent: where the system puts it. */
  readonly position?: { readonly x: number; readonly y: number };
  readonly width: number;
  readonly height: number;
  readonly maximized: boolean;
}

export const SMALLEST = { width: 640, height: 420 } as const;
export const USUAL: WindowState = { width: 1280, height: 820, maximized: false };
/** Of its width and height: enough to take hold of. */
const VISIBLE_PIXELS = 80;

const whole = v.pipe(v.number(), v.safeInteger());
const kept = v.object({ x: whole, y: whole, width: whole, height: whole, maximized: v.boolean() });

/** What was kept, as far as it fits on the screens that are there now. */
export function restoredState(value: unknown, screens: readonly Rectangle[]): WindowState {
  const result = v.safeParse(kept, value);
  if (!result.success) return USUAL;
  const { x, y, maximized } = result.output;
  const largest = screens.reduce(
    (best, one) => (one.width * one.height > best.width * best.height ? one : best),
    screens[0] ?? USUAL_SCREEN,
  );
  const width = clamp(result.output.width, SMALLEST.width, largest.width);
  const height = clamp(result.output.height, SMALLEST.height, largest.height);
  const visible = screens.some(screen => overlap(screen, { x, y, width, height }));
  return { ...(visible ? { position: { x, y } } : {}), width, height, maximized };
}

const USUAL_SCREEN: Rectangle = { x: 0, y: 0, width: USUAL.width, height: USUAL.height };

/** Its upper edge, by which it is moved, can be reached. */
function overlap(screen: Rectangle, window: Rectangle): boolean {
  const across = Math.min(screen.x + screen.width, window.x + window.width) - Math.max(screen.x, window.x);
  return across >= VISIBLE_PIXELS && window.y >= screen.y && window.y <= screen.y + screen.height - VISIBLE_PIXELS;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, Math.max(least, most)));
}
