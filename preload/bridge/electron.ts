// Electron's preload script: puts the one object into the page's world. Verbs only; nothing of Electron gets through.
import { contextBridge, type IpcRendererEvent, ipcRenderer, webUtils } from 'electron';
import type { Answer, Bridge, PlatformFacts } from '../contract/afterimage.ts';
import { CHANNELS, FACTS_ARGUMENT, type PortMessage } from '../contract/channels.ts';
import type { ConsolePort } from '../contract/console.ts';
import type { AppEvent } from '../contract/events.ts';
import { BridgeConsole } from './bridge-console.ts';

const facts = process.argv.find(argument => argument.startsWith(FACTS_ARGUMENT))!.slice(FACTS_ARGUMENT.length);

const bridge: Bridge = {
  platform: JSON.parse(facts) as PlatformFacts,
  call: (name, arguments_) => ipcRenderer.invoke(CHANNELS.call, name, arguments_) as Promise<Answer>,
  onEvent: listener => {
    const hear = (_event: IpcRendererEvent, event: AppEvent) => listener(event);
    ipcRenderer.on(CHANNELS.event, hear);
    return () => void ipcRenderer.off(CHANNELS.event, hear);
  },
  console: openConsole,
  chooseFile: purpose => ipcRenderer.invoke(CHANNELS.chooseFile, purpose) as Promise<Answer>,
  // Only a file that the user dropped has a path; the page never sees it.
  droppedFile: file => ipcRenderer.invoke(CHANNELS.droppedFile, webUtils.getPathForFile(file)) as Promise<Answer>,
  downloadUrl: () => '',
};

contextBridge.exposeInMainWorld('afterimage', bridge);

function openConsole(machine: string): Promise<ConsolePort> {
  const { port1, port2 } = new MessageChannel();
  const console = new BridgeConsole({
    input: bytes => port1.postMessage({ kind: 'input', bytes }),
    taken: count => port1.postMessage({ kind: 'taken', count }),
    resize: size => port1.postMessage({ kind: 'resize', size }),
    close: () => port1.close(),
  });
  return new Promise((resolve, reject) => {
    port1.onmessage = ({ data }: MessageEvent<PortMessage>) => {
      if (data.kind !== 'opened') console.hear(data);
      else if (data.error === undefined) resolve(console.port());
      else reject(data.error);
    };
    ipcRenderer.postMessage(CHANNELS.console, machine, [port2]);
  });
}
