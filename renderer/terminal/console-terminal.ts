// xterm attached to a machine's console. Everything of xterm is in this folder; it is made once for a machine and moved
// between the places that show it, so that its scrollback stays.
import '@xterm/xterm/css/xterm.css';
import { FitAddon } from '@xterm/addon-fit';
import { type ISearchOptions, SearchAddon } from '@xterm/addon-search';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal } from '@xterm/xterm';
import type { ScreenText } from '../../engine/api/checkpoints.ts';
import type { ConsoleSize } from '../../engine/api/settings.ts';
import type { ConsolePort } from '../../preload/contract/console.ts';
import { copyText } from './clipboard.ts';
import { hasGraphicsCard } from './graphics-card.ts';
import { InputQueue } from './input-queue.ts';
import { OutputPacer, type PacerClock } from './output-pacer.ts';
import { readScreen } from './read-screen.ts';
import { installStyleElements } from './style-elements.ts';
import { TERMINAL_THEME } from './theme.ts';

export interface TerminalSettings {
  /** CSS pixels. */
  readonly fontSize: number;
  /** Lines. */
  readonly scrollback: number;
  readonly copyOnSelect: boolean;
}

export interface TerminalEvents {
  readonly onState: (state: 'running' | 'idle') => void;
  readonly onSize: (size: ConsoleSize) => void;
  /** Bytes that wait to be sent. */
  readonly onWaiting: (bytes: number) => void;
  readonly onLink: (address: string) => void;
  readonly onFound: (index: number, count: number) => void;
  /** False: drawn by the document instead of the graphics card. */
  readonly onAccelerated: (accelerated: boolean) => void;
  /** Whether the key is the terminal's. */
  readonly allowKey: (event: KeyboardEvent) => boolean;
}

/** Colours of what the search has found. */
const FOUND: NonNullable<ISearchOptions['decorations']> = {
  matchBackground: '#4a4420',
  matchOverviewRuler: '#e0b25e',
  activeMatchBackground: '#8a6a14',
  activeMatchColorOverviewRuler: '#f3cd84',
};

const WINDOW_CLOCK: PacerClock = {
  now: () => performance.now(),
  onFrame: call => requestAnimationFrame(call),
  hidden: () => document.hidden,
};

export class ConsoleTerminal {
  readonly element = document.createElement('div');
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #events: TerminalEvents;
  readonly #input: InputQueue;
  readonly #output: OutputPacer;
  readonly #encoder = new TextEncoder();
  #port: ConsolePort | undefined;
  #webgl: WebglAddon | undefined;
  /** There is no graphics card, or it was lost once: not again in this terminal. */
  #refused = false;
  #resizes: ResizeObserver | undefined;
  #opened = false;
  #settings: TerminalSettings;
  #disposed = false;

  constructor(label: string, settings: TerminalSettings, events: TerminalEvents) {
    installStyleElements(document);
    this.#events = events;
    this.#settings = settings;
    this.element.className = 'terminal';
    this.#terminal = new Terminal({
      allowProposedApi: true,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
      fontSize: settings.fontSize,
      // With 1 the underscores of some fonts are cut off.
      lineHeight: 1.15,
      scrollback: settings.scrollback,
      theme: TERMINAL_THEME,
      cursorBlink: false,
      drawBoldTextInBrightColors: false,
      macOptionIsMeta: true,
      // What a restore, or a program's start, clears from the screen can still be scrolled back to.
      scrollOnEraseInDisplay: true,
      rightClickSelectsWord: false,
      // Programs that say their links themselves (OSC 8) are asked about as well.
      linkHandler: { activate: (_event, address) => events.onLink(address) },
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(this.#search);
    this.#terminal.loadAddon(new Unicode11Addon());
    this.#terminal.unicode.activeVersion = '11';
    this.#terminal.loadAddon(new WebLinksAddon((_event, address) => events.onLink(address)));
    this.#terminal.attachCustomKeyEventHandler(event => events.allowKey(event));
    this.#input = new InputQueue(bytes => this.#port?.write(bytes) ?? Promise.resolve(), events.onWaiting);
    // What xterm has parsed is taken, not what has arrived: a flood waits at the machine, not in this page.
    this.#output = new OutputPacer(
      (bytes, parsed) => this.#terminal.write(bytes, parsed),
      count => this.#port?.taken(count),
      WINDOW_CLOCK,
    );
    document.addEventListener('visibilitychange', this.#onVisibility);
    this.#terminal.onData(text => this.#input.add(this.#encoder.encode(text)));
    this.#terminal.onBinary(text => this.#input.add(Uint8Array.from(text, character => character.charCodeAt(0))));
    this.#terminal.onResize(({ cols, rows }) => this.#tellSize({ columns: cols, rows }));
    this.#terminal.onSelectionChange(() => {
      if (this.#settings.copyOnSelect) void this.copy();
    });
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) => events.onFound(resultIndex, resultCount));
    this.label = label;
  }

  /** For screen readers. */
  set label(text: string) {
    this.element.setAttribute('role', 'group');
    this.element.setAttribute('aria-label', text);
  }

  connect(port: ConsolePort): void {
    if (this.#disposed) {
      port.close();
      return;
    }
    this.#port = port;
    port.onOutput(bytes => this.#output.add(bytes));
    port.onState(state => {
      if (state === 'idle') this.#input.clear();
      this.#events.onState(state);
    });
    this.#tellSize({ columns: this.#terminal.cols, rows: this.#terminal.rows });
  }

  /** Shows it here; it follows the size of the place. */
  attach(place: HTMLElement): void {
    place.append(this.element);
    if (!this.#opened) {
      this.#terminal.open(this.element);
      this.#opened = true;
    }
    this.#accelerate();
    this.#resizes = new ResizeObserver(() => this.#fitToPlace());
    this.#resizes.observe(this.element);
    this.#fitToPlace();
  }

  /** Takes it away from where it is shown. It goes on to take output. */
  detach(): void {
    this.#resizes?.disconnect();
    // There are only about sixteen contexts for a whole page.
    this.#webgl?.dispose();
    this.#webgl = undefined;
    this.element.remove();
  }

  dispose(): void {
    this.#disposed = true;
    this.detach();
    document.removeEventListener('visibilitychange', this.#onVisibility);
    this.#output.dispose();
    this.#port?.close();
    this.#terminal.dispose();
  }

  configure(settings: TerminalSettings): void {
    this.#settings = settings;
    this.#terminal.options.fontSize = settings.fontSize;
    this.#terminal.options.scrollback = settings.scrollback;
    if (this.element.isConnected) this.#fitToPlace();
  }

  get size(): ConsoleSize {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows };
  }

  get selection(): string {
    return this.#terminal.getSelection();
  }

  read(): ScreenText {
    return readScreen(this.#terminal);
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** As if it were typed. */
  type(text: string): void {
    this.#input.add(this.#encoder.encode(text));
  }

  /** As if it were pasted: bracketed where the program asked for that. */
  paste(text: string): void {
    this.#terminal.paste(text);
  }

  stopSending(): void {
    this.#input.clear();
  }

  async copy(): Promise<boolean> {
    const text = this.selection;
    if (text === '') return false;
    return await copyText(text);
  }

  selectAll(): void {
    this.#terminal.selectAll();
  }

  clear(): void {
    this.#terminal.clear();
  }

  find(
    text: string,
    direction: 'next' | 'previous',
    options: { readonly caseSensitive: boolean; readonly incremental: boolean },
  ): void {
    const all = { ...options, decorations: FOUND };
    if (direction === 'next') this.#search.findNext(text, all);
    else this.#search.findPrevious(text, all);
  }

  endSearch(): void {
    this.#search.clearDecorations();
    this.#terminal.clearSelection();
  }

  readonly #onVisibility = () => this.#output.visibilityChanged();

  #tellSize(size: ConsoleSize): void {
    this.#port?.resize(size);
    this.#events.onSize(size);
  }

  #fitToPlace(): void {
    // Without a size there is nothing to fit to, and a terminal of one column would break every line.
    if (this.element.clientWidth < 40 || this.element.clientHeight < 20) return;
    this.#fit.fit();
  }

  #accelerate(): void {
    if (this.#refused || this.#webgl !== undefined) return;
    if (!hasGraphicsCard()) {
      this.#refused = true;
      this.#events.onAccelerated(false);
      return;
    }
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => {
        this.#refused = true;
        webgl.dispose();
        this.#webgl = undefined;
        this.#events.onAccelerated(false);
      });
      this.#terminal.loadAddon(webgl);
      this.#webgl = webgl;
      this.#events.onAccelerated(true);
    } catch {
      // No WebGL 2 here: xterm's own renderer goes on.
      this.#refused = true;
      this.#events.onAccelerated(false);
    }
  }
}
