// Put into the built page before its own script. The address says what the library and its machines have:
// ?library=empty, ?checkpoints=0, ?disks=0
import { ScriptedHost } from './scripted-host.ts';
import { brokenMachine, usualMachines } from './scripted-library.ts';

const asked = new URLSearchParams(location.search);
const machines =
  {
    empty: () => [],
    broken: () => [...usualMachines().slice(0, 2), brokenMachine()],
  }[asked.get('library') ?? ''] ?? usualMachines;

const scripted = new ScriptedHost(
  machines(),
  asked.get('host') === 'browser' ? { host: 'browser', canReveal: false } : {},
  Number(asked.get('checkpoints') ?? 24),
);
if (asked.get('disks') === '0') scripted.parts.disks = [];
Object.defineProperty(window, 'afterimage', { value: scripted });
// For tests, to see what was called and to make things happen.
Object.assign(window, { scripted });
