// What the browser host puts into its page: the contract over a WebSocket.
import type { Answer, Bridge } from '../contract/afterimage.ts';
import { askForFile, download, downloadUrl, upload } from './browser-files.ts';
import { BrowserSocket } from './browser-socket.ts';

const socket = new BrowserSocket();

const bridge: Bridge = {
  platform: {
    host: 'browser',
    system: systemOf(navigator.userAgent),
    canReveal: false,
    dragOut: 'download',
    notifications: false,
    globalShortcut: false,
    tray: false,
  },
  call: (name, arguments_) => ownCall(name, arguments_) ?? socket.call(name, arguments_),
  onEvent: listener => socket.onEvent(listener),
  console: machine => socket.console(machine),
  chooseFile: async (purpose, progress) => {
    const file = await askForFile(purpose);
    return file === undefined ? { ok: true, result: undefined } : await upload(file, progress);
  },
  droppedFile: (file, progress) => upload(file, progress),
  downloadUrl,
};

Object.defineProperty(window, 'afterimage', { value: Object.freeze(bridge), enumerable: true });

/** What a browser does without its host. */
function ownCall(name: string, arguments_: unknown): Promise<Answer> | undefined {
  const { machine, id, url } = arguments_ as { readonly machine: string; readonly id: string; readonly url: string };
  if (name === 'export-checkpoint') {
    download(downloadUrl(machine, id));
    return Promise.resolve({ ok: true, result: {} });
  }
  if (name === 'detach-console') {
    window.open(`${location.pathname}#/console/${machine}`, '_blank', 'popup,width=900,height=620');
    return Promise.resolve({ ok: true, result: {} });
  }
  if (name === 'open-external') return Promise.resolve({ ok: true, result: { opened: openExternal(url) } });
  return undefined;
}

function openExternal(url: string): boolean {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 'https:' || !window.confirm(`Open this address?\n\n${parsed.href}`)) return false;
  window.open(parsed.href, '_blank', 'noopener,noreferrer');
  return true;
}

/** That of the browser: its keys are what counts for a page. */
function systemOf(agent: string): 'linux' | 'macos' | 'windows' {
  if (/Mac OS X|iPhone|iPad/.test(agent)) return 'macos';
  return agent.includes('Windows') ? 'windows' : 'linux';
}
