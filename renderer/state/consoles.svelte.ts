// The terminals of this window, one for a machine. A terminal stays when another machine or tab is shown, with its
// scrollback; the longest unseen ones go when there are too many.
import type { ConsoleSize } from '../../engine/api/settings.ts';
import { ConsoleTerminal, type TerminalSettings } from '../terminal/console-terminal.ts';
import { CONSOLE } from '../text/console.ts';
import type { ConsoleScreen } from './console-screen.ts';
import type { MachineSession } from './machine-session.svelte.ts';

/** Each keeps its scrollback in memory: some ten megabytes with 10,000 full lines. */
const MOST = 8;
/** How often what a console shows is reported for thumbnails, at most. */
const REPORT_MILLISECONDS = 5000;
/** The usual size of a terminal, until one is measured. */
const USUAL: ConsoleSize = { columns: 80, rows: 24 };

export interface ConsoleHooks {
  readonly onLink: (address: string) => void;
  readonly allowKey: (event: KeyboardEvent) => boolean;
  readonly onError: (error: unknown) => void;
}

/** One console: its terminal, and what of it the page shows. */
export class Console implements ConsoleScreen {
  readonly session: MachineSession;
  readonly terminal: ConsoleTerminal;
  #size = $state.raw<ConsoleSize>(USUAL);
  #idle = $state(true);
  #waiting = $state(0);
  #accelerated = $state(true);
  #searching = $state(false);
  #found = $state.raw({ index: -1, count: 0 });
  /** When it was last shown, by a count. */
  seen = 0;
  readonly #ends: (() => void)[] = [];
  #report: ReturnType<typeof setTimeout> | undefined;

  constructor(session: MachineSession, settings: TerminalSettings, hooks: ConsoleHooks) {
    this.session = session;
    this.terminal = new ConsoleTerminal(CONSOLE.label(session.name), settings, {
      onState: state => {
        this.#idle = state === 'idle';
      },
      onSize: size => {
        this.#size = size;
      },
      onWaiting: bytes => {
        this.#waiting = bytes;
      },
      onLink: hooks.onLink,
      onFound: (index, count) => {
        this.#found = { index, count };
      },
      onAccelerated: accelerated => {
        this.#accelerated = accelerated;
      },
      allowKey: hooks.allowKey,
    });
    this.#ends.push(session.addScreen(this));
    session.app.console(session.id).then(port => {
      this.terminal.connect(this.#watched(port));
    }, hooks.onError);
  }

  get size(): ConsoleSize {
    return this.#size;
  }

  /** The machine is off or out of reach. */
  get idle(): boolean {
    return this.#idle;
  }

  /** Bytes typed or pasted that are not sent yet. */
  get waiting(): number {
    return this.#waiting;
  }

  get accelerated(): boolean {
    return this.#accelerated;
  }

  get searching(): boolean {
    return this.#searching;
  }

  get found(): { readonly index: number; readonly count: number } {
    return this.#found;
  }

  read() {
    return this.terminal.read();
  }

  focus(): void {
    this.terminal.focus();
  }

  openSearch(): void {
    this.#searching = true;
  }

  closeSearch(): void {
    this.#searching = false;
    this.#found = { index: -1, count: 0 };
    this.terminal.endSearch();
    this.terminal.focus();
  }

  fitGuest(): void {
    const { rows, columns } = this.terminal.size;
    // A space first: most shells keep such lines out of their history.
    this.terminal.type(` stty rows ${rows} columns ${columns}\r`);
    this.terminal.focus();
  }

  dispose(): void {
    clearTimeout(this.#report);
    for (const end of this.#ends) end();
    this.terminal.dispose();
  }

  /** The port, seen by whoever reports what the console shows. */
  #watched(port: Parameters<ConsoleTerminal['connect']>[0]): Parameters<ConsoleTerminal['connect']>[0] {
    return {
      onOutput: listener =>
        port.onOutput(bytes => {
          listener(bytes);
          this.#reportSoon();
        }),
      onState: listener => port.onState(listener),
      taken: count => port.taken(count),
      write: bytes => port.write(bytes),
      resize: size => port.resize(size),
      close: () => port.close(),
    };
  }

  #reportSoon(): void {
    this.#report ??= setTimeout(() => {
      this.#report = undefined;
      // A picture that is not there in time is no failure.
      this.session.app
        .call('report-screen', { machine: this.session.id, screen: this.read() as never })
        .catch(() => undefined);
    }, REPORT_MILLISECONDS);
  }
}

export class Consoles {
  readonly #all = new Map<string, Console>();
  #clock = 0;

  open(session: MachineSession, settings: TerminalSettings, hooks: ConsoleHooks): Console {
    let console = this.#all.get(session.id);
    // A folder that vanished and came back has another session.
    if (console !== undefined && console.session !== session) {
      console.dispose();
      console = undefined;
    }
    console ??= new Console(session, settings, hooks);
    console.seen = ++this.#clock;
    this.#all.set(session.id, console);
    this.#trim();
    return console;
  }

  configure(settings: TerminalSettings): void {
    for (const console of this.#all.values()) console.terminal.configure(settings);
  }

  #trim(): void {
    const unseen = [...this.#all.values()]
      .filter(console => !console.terminal.element.isConnected)
      .sort((a, b) => a.seen - b.seen);
    for (const console of unseen.slice(0, Math.max(0, this.#all.size - MOST))) {
      if (console.seen === this.#clock) continue;
      console.dispose();
      this.#all.delete(console.session.id);
    }
  }
}
