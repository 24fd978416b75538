// Runs in a page before its own scripts: what Electron's renderer gives a preload script. The preload script is evaluated
// in a function of its own; the page's world sees only what it exposes. (Electron has a world of its own for it: that
// the two do not share objects is Electron's, and not tested here.)

export interface PageScriptArguments {
  readonly preload: string;
  readonly arguments_: readonly string[];
}

/** As text for `addInitScript`. */
export function pageScript({ preload, arguments_ }: PageScriptArguments): string {
  // In its place rather than by `Function`, which the page's policy forbids.
  const script = `function (require, module, exports, process) {\n${preload}\n}`;
  return `(${inPage.toString()})(${script}, ${JSON.stringify(arguments_)});`;
}

function inPage(preload: Preload, arguments_: readonly string[]): void {
  const scope = globalThis as unknown as Record<string, unknown> & { location: { protocol: string } };
  const take = (name: string) => {
    const binding = scope[name];
    delete scope[name];
    return binding as (...given: unknown[]) => Promise<unknown>;
  };
  const [invoke, post] = [take('standInInvoke'), take('standInPost')];
  // Frames have no preload script, and neither have pages that are not ours.
  if (scope.location.protocol !== 'https:' || scope.self !== scope.top) return;
  const listeners = new Map<string, Set<(event: object, ...given: unknown[]) => void>>();
  const ports = new Map<number, { postMessage(data: unknown): void; close(): void }>();
  let lastPort = 0;
  const hidden = {
    hear: (channel: string, given: readonly unknown[]) => {
      for (const listener of [...(listeners.get(channel) ?? [])]) listener({}, ...given);
    },
    port: (number: number, data: unknown) => ports.get(number)?.postMessage(data),
    closePort: (number: number) => ports.get(number)?.close(),
  };
  Object.defineProperty(scope, Symbol.for('stand-in'), { value: hidden });
  const ipcRenderer = {
    invoke: (channel: string, ...given: unknown[]) => invoke(channel, given),
    on: (channel: string, listener: (event: object, ...given: unknown[]) => void) => {
      listeners.set(channel, (listeners.get(channel) ?? new Set()).add(listener));
    },
    off: (channel: string, listener: (event: object, ...given: unknown[]) => void) => {
      listeners.get(channel)?.delete(listener);
    },
    postMessage: (channel: string, message: unknown, transferred: readonly Port[]) => {
      const numbers = transferred.map(port => {
        lastPort += 1;
        const number = lastPort;
        ports.set(number, port);
        port.onmessage = ({ data }) => void post('port', number, data);
        return number;
      });
      void post('message', channel, message, numbers);
    },
  };
  const electron = {
    contextBridge: {
      exposeInMainWorld: (name: string, value: object) => {
        // What crosses is a copy that cannot be changed.
        Object.defineProperty(scope, name, { value: Object.freeze({ ...value }), enumerable: true });
      },
    },
    ipcRenderer,
    webUtils: { getPathForFile: (file: { standInPath?: string }) => file.standInPath ?? '' },
  };
  const require = (name: string) => {
    if (name !== 'electron') throw new Error(`A sandboxed preload script has no '${name}'`);
    return electron;
  };
  const module = { exports: {} };
  preload(require, module, module.exports, { argv: arguments_ });
}

type Preload = (require: object, module: object, exports: object, process: object) => void;

interface Port {
  postMessage(data: unknown): void;
  close(): void;
  onmessage: ((event: { data: unknown }) => void) | null;
}
