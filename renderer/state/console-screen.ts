import type { ScreenText } from '../../engine/api/checkpoints.ts';

/** What a terminal offers to the rest of the page. */
export interface ConsoleScreen {
  /** What it shows, for thumbnails. */
  read(): ScreenText | undefined;
  focus(): void;
  openSearch(): void;
  /** Tells the guest the size where the line cannot: types a command at its shell. */
  fitGuest(): void;
}
