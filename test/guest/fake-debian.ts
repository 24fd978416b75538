// A machine with apt and a Debian mirror, all made up: small packages built by the real dpkg-deb, and programs in the
// place of apt that hand them out, can be told to fail, and write down how they were called.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { KERNEL_PACKAGE, MODULES, PACKAGES } from '../../assets/guest/recipe.ts';
import { makeModule } from './module-file.ts';

export const RELEASE = '6.99.0-riscv64';
const KERNEL_NAME = `linux-image-${RELEASE}`;

const APPLETS = ['[', '[[', 'ash', 'busybox', 'cat', 'insmod', 'modprobe', 'mount', 'poweroff', 'sh', 'stty', 'umount'];

export class FakeDebian {
  readonly #folder: string;

  /** Builds the packages, which takes a moment; one can serve many tests. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(this.programs, { recursive: true });
    mkdirSync(this.aptFolder);
    mkdirSync(this.#path('packages'));
    writeFileSync(this.#path('calls'), '');
    writeFileSync(path.join(this.aptFolder, 'sources.list'), 'deb http://mirror.example/debian trixie main\n');
    const stanzas = [
      `Package: ${KERNEL_PACKAGE}\nVersion: 1\nDepends: ${KERNEL_NAME} (= 1)\n`,
      this.#addPackage(KERNEL_NAME, kernelFiles()),
      ...PACKAGES.map(({ name, files }) =>
        this.#addPackage(name, new Map(files.map(({ from }) => [from, fileContents(from)]))),
      ),
    ];
    writeFileSync(this.#path('stanzas'), stanzas.join('\n'));
    this.#addProgram('apt-cache', `cat '${this.#path('stanzas')}'`);
    this.#addProgram(
      'apt-get',
      `case "$*" in
*" download "*)
  echo dlstatus:1:50.0000:half >&3
  while [ -e '${this.#path('hold')}' ]; do sleep 0.02; done
  cp '${this.#path('packages')}'/*.deb .
esac`,
    );
    const real = spawnSync('sh', ['-c', 'command -v dpkg-deb'], { encoding: 'utf8' }).stdout.trim();
    symlinkSync(real, path.join(this.programs, 'dpkg-deb'));
  }

  /** The folder to put first on the PATH. */
  get programs(): string {
    return this.#path('bin');
  }

  /** What stands for /etc/apt. */
  get aptFolder(): string {
    return this.#path('apt');
  }

  /** Words of each call so far, apart from those that ask for the version. */
  get calls(): string[] {
    return readFileSync(this.#path('calls'), 'utf8')
      .split('\n')
      .filter(line => line !== '' && !line.includes('--version'));
  }

  /** From now on `word` (update, download, show) fails and says `message`; undefined makes it work again. */
  failAt(word: string, message: string | undefined): void {
    const file = this.#path(`fail-${word}`);
    if (message === undefined) rmSync(file, { force: true });
    else writeFileSync(file, `${message}\n`);
  }

  /** Keeps downloads from finishing until called with false. */
  holdDownloads(hold: boolean): void {
    if (hold) writeFileSync(this.#path('hold'), '');
    else rmSync(this.#path('hold'), { force: true });
  }

  /** Forgets calls and failures. */
  reset(): void {
    writeFileSync(this.#path('calls'), '');
    this.holdDownloads(false);
    for (const word of ['update', 'download', 'show']) this.failAt(word, undefined);
  }

  #path(name: string): string {
    return path.join(this.#folder, name);
  }

  #addProgram(name: string, body: string): void {
    const script = `#!/bin/sh
echo "${name} $*" >>'${this.#path('calls')}'
for word in update download show; do
  case " $* " in *" $word "*)
    [ ! -e '${this.#path('fail-')}'$word ] || { cat '${this.#path('fail-')}'$word >&2; exit 100; }
  esac
done
[ "$1" != --version ] || exit 0
${body}
`;
    writeFileSync(path.join(this.programs, name), script, { mode: 0o755 });
  }

  /** Builds a package and returns its stanza. */
  #addPackage(name: string, files: ReadonlyMap<string, Uint8Array>): string {
    const root = this.#path(`root-${name}`);
    mkdirSync(path.join(root, 'DEBIAN'), { recursive: true });
    const control = `Package: ${name}\nVersion: 1\nArchitecture: riscv64\nMaintainer: Nobody <nobody@example.org>\n`;
    writeFileSync(path.join(root, 'DEBIAN/control'), `${control}Description: made up\n`);
    for (const [file, data] of files) {
      mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
      appendFileSync(path.join(root, file), data);
    }
    const target = this.#path(`packages/${name}_1_riscv64.deb`);
    const built = spawnSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z0', '-b', root, target], {
      encoding: 'utf8',
    });
    if (built.status !== 0 || !existsSync(target)) throw new Error(`dpkg-deb: ${built.stderr}`);
    return `${control}Size: ${statSync(target).size}\nSHA256: ${'0'.repeat(64)}\n`;
  }
}

function kernelFiles(): ReadonlyMap<string, Uint8Array> {
  const image = Buffer.alloc(4096);
  image.write('RISCV', 0x30);
  const modules = `usr/lib/modules/${RELEASE}`;
  const files = new Map<string, Uint8Array>([
    [`boot/vmlinux-${RELEASE}`, image],
    [`${modules}/modules.builtin`, Buffer.from('kernel/lib/crc16.ko\n')],
  ]);
  for (const name of MODULES) {
    const modinfo = `depends=${name === 'ext4' ? 'jbd2,crc16' : ''}\0`;
    files.set(`${modules}/kernel/some/${name.replaceAll('_', '-')}.ko`, makeModule({ modinfo }));
  }
  files.set(`${modules}/kernel/fs/jbd2.ko`, makeModule({ modinfo: 'depends=\0' }));
  return files;
}

function fileContents(name: string): Uint8Array {
  return Buffer.from(name === 'usr/bin/busybox' ? `\0${APPLETS.join('\0')}\0\0` : `contents of ${name}`);
}
