import { spawn, spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PROGRAM = 'qemu-system-riscv64';

/** What QEMU's general processor may have and ours has not, so that encodings that are illegal here are illegal there. */
const WITHOUT = [
  'h',
  'v',
  'zbc',
  'zawrs',
  'zfa',
  'zfh',
  'zfhmin',
  'zicbom',
  'zicboz',
  'zicbop',
  'zihintntl',
  'zacas',
  'zcb',
  'zcmop',
  'zimop',
  'svinval',
  'svnapot',
  'svpbmt',
  'smaia',
  'ssaia',
  'smstateen',
  'zkr',
  'smepmp',
  'sscofpmf',
];
/** What ours has; QEMU 7.2 lacks Zicond, which is therefore left out of generated programs. */
const WITH = ['zba', 'zbb', 'zbs', 'sstc', 'svadu'];

let processor: string | undefined;

/** The processor that ours is compared with, as far as this QEMU can be told. */
export function qemuProcessor(): string {
  if (processor === undefined) {
    const help = spawnSync(PROGRAM, ['-machine', 'virt', '-device', 'rv64-riscv-cpu,help'], {
      encoding: 'utf8',
    }).stdout;
    const has = (name: string) => new RegExp(`^ +${name}=`, 'm').test(help);
    const flags = [...WITHOUT.filter(has).map(name => `${name}=off`), ...WITH.filter(has).map(name => `${name}=on`)];
    processor = ['rv64', ...flags].join(',');
  }
  return processor;
}

/** Whether QEMU is there at all. */
export function hasQemu(): boolean {
  return spawnSync(PROGRAM, ['--version']).status === 0;
}

export interface QemuOptions {
  readonly ramBytes?: number;
  readonly cpu?: string;
  /** Milliseconds until QEMU is killed and the run fails. */
  readonly timeout?: number;
}

/**
 * Runs an image that lies at the start of RAM until it writes to the test finisher. Returns RAM as it is then: it is a
 * file of ours that QEMU maps, so no device is needed to get results out.
 */
export async function runInQemu(image: Uint8Array, options: QemuOptions = {}): Promise<Uint8Array> {
  const ramBytes = options.ramBytes ?? 64 << 20;
  const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-qemu-'));
  try {
    const ram = path.join(folder, 'ram');
    const file = openSync(ram, 'w');
    writeSync(file, image);
    ftruncateSync(file, ramBytes);
    closeSync(file);
    const size = `${ramBytes >> 20}M`;
    await finished(
      spawn(
        PROGRAM,
        [
          '-object',
          `memory-backend-file,id=ram,size=${size},mem-path=${ram},share=on`,
          '-machine',
          'virt,memory-backend=ram',
          '-m',
          size,
          '-cpu',
          options.cpu ?? qemuProcessor(),
          '-bios',
          'none',
          '-nographic',
          '-monitor',
          'none',
          '-serial',
          'none',
        ],
        { stdio: ['ignore', 'ignore', 'pipe'], timeout: options.timeout ?? 60_000, killSignal: 'SIGKILL' },
      ),
    );
    return readFileSync(ram);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function finished(child: ReturnType<typeof spawn>): Promise<void> {
  let complaints = '';
  child.stderr?.on('data', chunk => {
    complaints += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status === 0) resolve();
      else reject(new Error(`QEMU ended with ${signal ?? status}: ${complaints.trim()}`));
    });
  });
}
