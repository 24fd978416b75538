// The dependency direction of the project: which room may import which. Checked by layers.test.ts.

/** Rooms by folder, the most specific first; what a file may import beside its own room. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'engine/host': [
    'engine/machine',
    'engine/checkpoint',
    'engine/core',
    'engine/devices',
    'engine/firmware',
    'engine/memory',
    'engine/disk',
    'engine/state',
    'engine/api',
    'engine/base',
  ],
  'engine/checkpoint': ['engine/machine', 'engine/memory', 'engine/disk', 'engine/state', 'engine/base'],
  'engine/machine': [
    'engine/core',
    'engine/jit',
    'engine/devices',
    'engine/firmware',
    'engine/memory',
    'engine/disk',
    'engine/state',
    'engine/base',
  ],
  'engine/core': ['engine/base'],
  'engine/jit': ['engine/core', 'engine/memory', 'engine/base'],
  // A device reaches memory and disks only by interface; see INTERFACES.
  'engine/devices': ['engine/state', 'engine/base'],
  'engine/firmware': ['engine/state', 'engine/base'],
  'engine/memory': ['engine/state', 'engine/base'],
  'engine/disk': ['engine/state', 'engine/base'],
  'engine/state': ['engine/base'],
  'engine/api': ['engine/base'],
  'engine/base': [],
  'assets/guest': ['engine/base'],
  'preload/contract': ['engine/api', 'engine/base'],
  'preload/bridge': ['preload/contract', 'engine/api', 'engine/base'],
  renderer: ['preload/contract', 'engine/api', 'engine/base'],
  // Main starts engine/host as a process and never imports engine code.
  // The app without windows; what stands on it knows Electron or the web, it knows neither.
  'main/ipc': ['main', 'preload/contract', 'engine/api', 'engine/base', 'assets/guest'],
  'main/windows': ['main/ipc', 'preload/contract', 'engine/api', 'engine/base'],
  'main/app': ['main', 'main/ipc', 'main/windows', 'preload/contract', 'engine/api', 'engine/base'],
  'main/serve': ['main', 'main/ipc', 'main/package', 'preload/contract', 'engine/api', 'engine/base'],
  'main/package': ['main/serve', 'assets/guest', 'engine/base'],
  main: ['main/serve', 'preload/contract', 'engine/api', 'engine/base', 'assets/guest'],
  'assets/icons': [],
};

/** Files that hold only types and may be imported, as types, from rooms that may not import the rest. */
export const INTERFACES: Readonly<Record<string, readonly string[]>> = {
  'engine/memory/guest-memory.ts': ['engine/devices'],
};

/** Rooms in which the effects of Node may be used. */
export const NODE_ROOMS: readonly string[] = [
  'engine/host',
  'main',
  'main/ipc',
  'main/windows',
  'main/app',
  'main/serve',
  'main/package',
  'assets/guest',
  'assets/icons',
];

/** Files that load Electron; all others get it as an argument, so that they run without its program. */
export const ELECTRON_FILES: readonly string[] = ['main/app/entry.ts', 'preload/bridge/electron.ts'];

/** Build scripts that run on the developer's machine, not in the product. */
export const BUILD_FILES: readonly string[] = ['engine/core/build.ts'];
