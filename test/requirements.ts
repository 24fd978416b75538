// The programs that tests use from outside the npm registry, all of them Debian packages.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

interface Requirement {
  /** A file that the package installs. */
  readonly file: string;
  readonly package: string;
}

const REQUIREMENTS: readonly Requirement[] = [
  { file: '/usr/bin/qemu-system-riscv64', package: 'qemu-system-misc' },
  { file: '/usr/bin/qemu-img', package: 'qemu-utils' },
  { file: '/usr/bin/dtc', package: 'device-tree-compiler' },
  { file: '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin', package: 'opensbi' },
  { file: '/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin', package: 'u-boot-qemu' },
  { file: '/usr/bin/riscv64-linux-gnu-gcc', package: 'gcc-riscv64-linux-gnu' },
  { file: '/usr/riscv64-linux-gnu/lib/libc.a', package: 'libc6-dev-riscv64-cross' },
  { file: '/usr/bin/gcc', package: 'gcc' },
  { file: '/usr/include/dlfcn.h', package: 'libc6-dev' },
  { file: '/usr/bin/xz', package: 'xz-utils' },
  { file: '/usr/bin/script', package: 'bsdutils' },
  { file: '/sbin/e2fsck', package: 'e2fsprogs' },
  { file: '/usr/bin/chromium', package: 'chromium' },
];

function apt(arguments_: readonly string[]): boolean {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return (
    spawnSync('apt-get', ['-qq', '-y', ...arguments_], { stdio: ['ignore', 'ignore', 'inherit'], env: environment })
      .status === 0
  );
}

/** Installs what is missing, or ends the process with the command that would. */
export function installRequirements(): void {
  const missing = REQUIREMENTS.filter(one => !existsSync(one.file)).map(one => one.package);
  if (missing.length === 0) return;
  const packages = [...new Set(missing)];
  console.log(`Installing for the tests: ${packages.join(' ')}`);
  const done = process.getuid?.() === 0 && apt(['update']) && apt(['install', '--no-install-recommends', ...packages]);
  if (done) return;
  console.log(`The tests need these Debian packages: sudo apt-get install ${packages.join(' ')}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}
