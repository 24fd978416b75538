// What the app announces to its pages. Events only announce: what counts is asked for by a call.
import type { ControlEvent } from '../../engine/api/control.ts';
import type { Identity } from '../../engine/api/machine.ts';
import type { PlainError } from '../../engine/base/errors.ts';
import type { ChosenFile } from './files.ts';
import type { ActivityEntry, LibraryView } from './library.ts';
import type { AppSettings } from './settings.ts';

/** Something to be told in passing, by the page too when notifications of the system are not there. */
export interface Notice {
  readonly level: 'info' | 'warning' | 'error';
  readonly title: string;
  readonly text: string;
  readonly machine?: Identity;
  readonly error?: PlainError;
}

/** What menus, tray and notifications ask of a page. */
export type PageCommand =
  | 'new-machine'
  | 'import'
  | 'settings'
  | 'about'
  | 'palette'
  | 'activity'
  | 'show-machine'
  | 'show-console'
  | 'show-tree'
  | 'show-disks'
  | 'show-memory'
  | 'checkpoint'
  | 'start'
  | 'stop'
  | 'search'
  | 'zoom-in'
  | 'zoom-out'
  | 'zoom-reset';

export type MachineEvent = Exclude<ControlEvent, { readonly event: 'console-output' }>;

export type AppEvent =
  /** The whole list, whenever anything of it changed. */
  | { readonly event: 'library'; readonly library: LibraryView }
  | { readonly event: 'machine-event'; readonly machine: Identity; readonly happened: MachineEvent }
  | { readonly event: 'settings'; readonly settings: AppSettings }
  | { readonly event: 'activity'; readonly entry: ActivityEntry }
  | { readonly event: 'notice'; readonly notice: Notice }
  /** The system asked to open a file: offer to import it. */
  | { readonly event: 'file-opened'; readonly file: ChosenFile }
  | { readonly event: 'command'; readonly command: PageCommand; readonly machine?: Identity }
  /** The app is about to quit: these machines are being suspended or stopped. */
  | { readonly event: 'quitting'; readonly machines: readonly Identity[] }
  /**
   * Only in the browser: the host is out of reach, or there again; after `back` everything is to be asked for anew.
   * `refused`: the host does not know this page, as after it was started anew; nothing comes any more.
   */
  | { readonly event: 'connection'; readonly state: 'lost' | 'back' | 'refused' };
