// What the default guest is made of. Everything that decides its bytes, save the versions of the packages, stands here
// or in `rootfs/`: the hash of both names the guest in the cache, so a change here means a new build.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A file taken from a package: `from` inside the package, `to` inside the initramfs. Symbolic links are followed. */
export interface WantedFile {
  readonly from: string;
  readonly to: string;
}

export interface WantedPackage {
  readonly name: string;
  readonly files: readonly WantedFile[];
}

/** Raise this whenever the builder's code changes what it writes for the same recipe. */
const BUILDER_VERSION = 1;

export const SUITE = 'trixie';
export const COMPONENT = 'main';
export const ARCHITECTURE = 'riscv64';

/** The metapackage; it depends on the kernel of the day. */
export const KERNEL_PACKAGE = 'linux-image-riscv64';

const LIBRARIES = 'usr/lib/riscv64-linux-gnu';

/** A library under the name that programs ask for; the loader finds it in the directory of Debian's architecture. */
function library(name: string): WantedFile {
  return { from: `${LIBRARIES}/${name}`, to: `lib/riscv64-linux-gnu/${name}` };
}

/** Programs and libraries besides the kernel. Debian's busybox can make ext2 only, hence the real e2fsprogs. */
export const PACKAGES: readonly WantedPackage[] = [
  { name: 'busybox-static', files: [{ from: 'usr/bin/busybox', to: 'bin/busybox' }] },
  {
    name: 'e2fsprogs',
    files: [
      { from: 'usr/sbin/mke2fs', to: 'bin/mke2fs' },
      { from: 'usr/sbin/e2fsck', to: 'bin/e2fsck' },
      { from: 'etc/mke2fs.conf', to: 'etc/mke2fs.conf' },
    ],
  },
  {
    name: 'libc6',
    files: [
      library('libc.so.6'),
      { from: `${LIBRARIES}/ld-linux-riscv64-lp64d.so.1`, to: 'lib/ld-linux-riscv64-lp64d.so.1' },
    ],
  },
  { name: 'libext2fs2t64', files: [library('libext2fs.so.2'), library('libe2p.so.2')] },
  { name: 'libcom-err2', files: [library('libcom_err.so.2')] },
  { name: 'libblkid1', files: [library('libblkid.so.1')] },
  { name: 'libuuid1', files: [library('libuuid.so.1')] },
];

/** Kernel modules, without those they depend on. What is not needed at every boot is loaded when something asks for it. */
export const MODULES: readonly string[] = [
  'virtio_mmio',
  'virtio_blk',
  'virtio_rng',
  'virtio_net',
  'virtio_balloon',
  'ext4',
  // Asked for by its alias crypto-crc32c, so no module names it as a dependency.
  'crc32c_generic',
  'overlay',
  'loop',
];

/** Names that busybox answers to but must not get here: e2fsprogs has the better one, or it makes no sense in a guest. */
export const LEFT_OUT_APPLETS: readonly string[] = [
  'busybox',
  'mke2fs',
  'linuxrc',
  'dpkg',
  'dpkg-deb',
  'rpm',
  'rpm2cpio',
];

/**
 * The kernel's command line.
 * - `n8r`: hardware flow control, so that a paste of any size loses nothing. The guest keeps CRTSCTS on its tty.
 * - `earlycon`: text from the first moment; the serial driver proper comes up only in the middle of the boot.
 * - `loglevel=6`: about twenty lines, enough to see life. All two hundred cost ten times the device accesses.
 * - `cryptomgr.notests` and no `jent_mod_init`: self-tests and a random source measured against the clock, which nothing
 *   here uses; 0.35 and 0.17 of 0.91 thousand million instructions to the first process.
 */
export const APPEND = [
  'console=ttyS0,115200n8r',
  'earlycon',
  'loglevel=6',
  'cryptomgr.notests',
  'initcall_blacklist=jent_mod_init',
].join(' ');

const ROOTFS = path.join(import.meta.dirname, 'rootfs');

/** A file of our own in the initramfs. Everything in `bin/` and the file `init` is a program. */
export interface OwnFile {
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
}

/** The files of `rootfs/`, in a fixed order and with modes that do not depend on how they were checked out. */
export function ownFiles(): OwnFile[] {
  return readdirSync(ROOTFS, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => {
      const file = path.join(entry.parentPath, entry.name);
      const name = path.relative(ROOTFS, file).split(path.sep).join('/');
      const isProgram = name === 'init' || name.startsWith('bin/');
      return { path: name, mode: isProgram ? 0o755 : 0o644, data: unixLines(readFileSync(file)) };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A checkout on Windows may have turned line ends; the guest's shell would take the CR for part of the word. */
function unixLines(data: Uint8Array): Uint8Array {
  return data.includes(13)
    ? Buffer.from(Buffer.from(data).toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
    : data;
}

/** Names the guest in the cache: equal exactly when the same packages would give the same bytes. */
export function recipeHash(own: readonly OwnFile[] = ownFiles()): string {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([
      BUILDER_VERSION,
      SUITE,
      COMPONENT,
      ARCHITECTURE,
      KERNEL_PACKAGE,
      PACKAGES,
      MODULES,
      LEFT_OUT_APPLETS,
      APPEND,
    ]),
  );
  for (const file of own) hash.update(`\0${file.path}\0${file.mode}\0${file.data.length}\0`).update(file.data);
  return hash.digest('hex').slice(0, 32);
}
