// What pages may not do, for the whole session and every page in it (Electron's security guide, all points).
import type { Session, WebContents, WebPreferences } from 'electron';
import type { PlatformFacts } from '../../preload/contract/afterimage.ts';
import { FACTS_ARGUMENT } from '../../preload/contract/channels.ts';
import { isOurs } from './origin.ts';

/** Putting text into the clipboard is what Copy does; nothing else that pages can ask for is needed. */
const PERMITTED = new Set<string>(['clipboard-sanitized-write']);

export function webPreferences(preload: string, facts: PlatformFacts, isPackaged: boolean): WebPreferences {
  return {
    preload,
    additionalArguments: [`${FACTS_ARGUMENT}${JSON.stringify(facts)}`],
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    spellcheck: false,
    devTools: !isPackaged,
    // A terminal in a hidden window goes on taking what its machine prints.
    backgroundThrottling: false,
  };
}

export function guardSession(session: Session): void {
  session.setPermissionRequestHandler((contents, permission, answer) => {
    answer(PERMITTED.has(permission) && contents !== null && isOurs(contents.getURL()));
  });
  session.setPermissionCheckHandler(
    (_contents, permission, origin) => PERMITTED.has(permission) && isOurs(`${origin}/`),
  );
  session.setDevicePermissionHandler(() => false);
  session.on('will-download', event => event.preventDefault());
  // The policy of the page forbids it too; this holds for a page that got around it.
  session.webRequest.onBeforeRequest(({ url }, answer) => {
    answer({ cancel: !isOurs(url) && !url.startsWith('devtools:') });
  });
}

export function guardContents(contents: WebContents): void {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  for (const name of ['will-navigate', 'will-redirect', 'will-frame-navigate'] as const) {
    contents.on(name as 'will-navigate', event => event.preventDefault());
  }
  contents.on('will-attach-webview', event => event.preventDefault());
  // Without an answer the first device that is found would be taken.
  contents.on('select-bluetooth-device', (event, _devices, answer) => {
    event.preventDefault();
    answer('');
  });
}
