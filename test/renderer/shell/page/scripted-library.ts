import type { ScreenText } from '../../../../engine/api/checkpoints.ts';
import { type MachineStatus, USUAL_AUTOMATIC } from '../../../../engine/api/machine.ts';
import { GIB, MIB } from '../../../../engine/api/settings.ts';
import type { MachineSummary } from '../../../../preload/contract/library.ts';
import { NOW } from '../../scripted/trees.ts';

export { NOW };

export const identityOf = (number: number) => number.toString(16).padStart(32, '0');

/** The machine 'Debian', which runs, and where its console is. */
export const DEBIAN = identityOf(2);
export const CONSOLE = `#/machine/${DEBIAN}/console`;

const MINUTE = 60_000;

export const BOOT_OUTPUT = [
  '[    0.000000] Linux version 6.12.107+deb13-riscv64 (debian-kernel@lists.debian.org)',
  '[    0.000000] Machine model: riscv-virtio,qemu',
  '[    0.214711] virtio_blk virtio2: [vda] 16777216 512-byte logical blocks (8.59 GB/8.00 GiB)',
  '[    0.391204] Freeing unused kernel image (initmem) memory: 2300K',
  '',
  'Debian GNU/Linux 13 afterimage ttyS0',
  '',
  'afterimage login: root (automatic login)',
  '',
  '\x1b[1;32mroot@afterimage\x1b[0m:\x1b[1;34m~\x1b[0m# uname -a',
  'Linux afterimage 6.12.107+deb13-riscv64 #1 SMP Debian 6.12.107-1 riscv64 GNU/Linux',
  '\x1b[1;32mroot@afterimage\x1b[0m:\x1b[1;34m~\x1b[0m# df -h /data',
  'Filesystem      Size  Used Avail Use% Mounted on',
  '/dev/vda        7.8G   24K  7.4G   1% /data',
  '\x1b[1;32mroot@afterimage\x1b[0m:\x1b[1;34m~\x1b[0m# ls --color /',
  '\x1b[1;34mbin\x1b[0m  \x1b[1;34mboot\x1b[0m  \x1b[1;34mdata\x1b[0m  \x1b[1;34mdev\x1b[0m  \x1b[1;34metc\x1b[0m  \x1b[1;34mhome\x1b[0m  \x1b[1;36minit\x1b[0m  \x1b[1;34mproc\x1b[0m  \x1b[1;34mroot\x1b[0m  \x1b[30;42mtmp\x1b[0m  \x1b[1;34musr\x1b[0m  \x1b[1;34mvar\x1b[0m',
  '\x1b[1;32mroot@afterimage\x1b[0m:\x1b[1;34m~\x1b[0m# ',
].join('\r\n');

export const SCREEN: ScreenText = {
  columns: 100,
  rows: 30,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a console prints has them.
  lines: BOOT_OUTPUT.replace(/\x1b\[[\d;]*m/g, '').split('\r\n'),
};

interface Outline {
  readonly name: string;
  readonly state: MachineStatus['state'];
  readonly memory: number;
  readonly bytes?: number;
  readonly checkpoints?: number;
  /** Minutes ago. */
  readonly last?: number;
  readonly screen?: ScreenText;
  readonly status?: Partial<MachineStatus>;
  readonly suspended?: boolean;
}

const top: ScreenText = {
  columns: 80,
  rows: 24,
  lines: [
    'top - 10:29:58 up 2 days,  4:02,  1 user,  load average: 0.97, 0.81, 0.44',
    'Tasks:  61 total,   2 running,  59 sleeping,   0 stopped,   0 zombie',
    '%Cpu(s): 96.7 us,  3.0 sy,  0.0 ni,  0.0 id,  0.3 wa,  0.0 hi,  0.0 si',
    'MiB Mem :    982.4 total,    311.0 free,    402.8 used,    268.6 buff/cache',
    '',
    '    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND',
    ...['cc1', 'make', 'systemd', 'sshd', 'agetty', 'dbus-daemon', 'kworker/0:1', 'top'].map(
      (command, index) =>
        `${String(411 + index * 37).padStart(7)} root      20   0   ${String(98_304 >> index).padStart(6)}  41216  11264 ${index === 0 ? 'R' : 'S'}  ${index === 0 ? '94.4' : ' 0.3'}   4.1   0:0${index}.71 ${command}`,
    ),
  ],
};

const OUTLINES: readonly Outline[] = [
  {
    name: 'Build server',
    state: 'running',
    memory: GIB,
    bytes: 3.4 * GIB,
    checkpoints: 42,
    last: 4,
    screen: top,
    status: { startedAt: NOW - 3127 * MINUTE },
  },
  {
    name: 'Debian',
    state: 'running',
    memory: 512 * MIB,
    bytes: 412 * MIB,
    checkpoints: 24,
    last: 63,
    screen: SCREEN,
    status: { startedAt: NOW - 125 * MINUTE },
  },
  {
    name: 'Kernel 6.18 bisect',
    state: 'paused',
    memory: 2 * GIB,
    bytes: 1.2 * GIB,
    checkpoints: 18,
    last: 60 * 26,
    screen: SCREEN,
    status: { pausedBy: 'wish', startedAt: NOW - 340 * MINUTE },
  },
  { name: 'Scratch', state: 'off', memory: 256 * MIB, bytes: 196 * 1024 },
  {
    name: 'Webshop, before the migration of May',
    state: 'off',
    memory: 512 * MIB,
    bytes: 920 * MIB,
    checkpoints: 3,
    last: 60 * 24 * 9,
    screen: SCREEN,
    suspended: true,
  },
];

export function usualMachines(): MachineSummary[] {
  return OUTLINES.map((outline, index) => {
    const id = identityOf(index + 1);
    const { name, state, memory, last } = outline;
    return {
      id,
      name,
      folder: `/home/ada/.local/share/afterimage/machines/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`,
      status: { state, pid: 4000 + index, ...outline.status },
      record: {
        id,
        name,
        memory,
        createdAt: NOW - 9e8,
        boot: { kind: 'guest' },
        disks: [{ file: `disks/disk0-${id.slice(-10)}.qcow2`, format: 'qcow2', mode: 'persistent' }],
        automatic: USUAL_AUTOMATIC,
      },
      foreign: false,
      ...(outline.suspended && { suspended: identityOf(100 + index) }),
      ...(outline.bytes !== undefined && { bytes: Math.round(outline.bytes) }),
      ...(outline.checkpoints !== undefined && { checkpoints: outline.checkpoints }),
      ...(outline.screen && { screen: outline.screen }),
      ...(last !== undefined && {
        lastCheckpoint: { id: identityOf(100 + index), name: 'before the upgrade', takenAt: NOW - last * MINUTE },
      }),
    };
  });
}

/** A machine whose folder cannot be understood. */
export function brokenMachine(): MachineSummary {
  return {
    id: identityOf(90),
    name: 'old-router',
    folder: '/home/ada/.local/share/afterimage/machines/old-router',
    status: { state: 'off', pid: 0 },
    problem: { kind: 'corrupt', message: 'The record of the machine is damaged', context: { file: 'machine.json' } },
    foreign: false,
    bytes: 5 * MIB,
  };
}
