// Put into the built page before its own script. The address says what the library has: ?library=empty
import { ScriptedHost } from './scripted-host.ts';
import { brokenMachine, usualMachines } from './scripted-library.ts';

declare global {
  interface Window {
    /** For tests, to see what was called and to make things happen. */
    scripted: ScriptedHost;
  }
}

const asked = new URLSearchParams(location.search);
const machines =
  {
    empty: () => [],
    broken: () => [...usualMachines().slice(0, 2), brokenMachine()],
  }[asked.get('library') ?? ''] ?? usualMachines;

window.scripted = new ScriptedHost(
  machines(),
  asked.get('host') === 'browser' ? { host: 'browser', canReveal: false } : {},
);
Object.defineProperty(window, 'afterimage', { value: window.scripted });
