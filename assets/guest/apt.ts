// Gets Debian packages of another release and architecture with the machine's own apt: it knows the mirror, the proxy,
// the keys, how to verify and how to retry. Its state is private, so neither side sees the other and no root is needed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { run } from './process.ts';
import { type AptSource, debianMirrors, formatSource, parseDeb822Sources, parseOneLineSources } from './sources.ts';
import { parseStanzas } from './stanzas.ts';

/** What to get, and from where inside a mirror. */
export interface AptTarget {
  readonly suite: string;
  readonly component: string;
  readonly architecture: string;
}

export interface AvailablePackage {
  readonly name: string;
  readonly version: string;
  /** Bytes of the package file. */
  readonly size: number;
  readonly sha256: string;
  readonly depends: readonly string[];
}

const INSTEAD = 'pass a kernel and an initramfs of your own with --kernel and --initrd';

/** The keys of Debian's archive, as the package debian-archive-keyring has named them over time. */
const DEBIAN_KEYRINGS = [
  '/usr/share/keyrings/debian-archive-keyring.pgp',
  '/usr/share/keyrings/debian-archive-keyring.gpg',
];

/** All apt sources of this machine. A file that cannot be read is not there for us. */
export function machineSources(configFolder = '/etc/apt'): AptSource[] {
  const read = (file: string) => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  };
  const partsFolder = path.join(configFolder, 'sources.list.d');
  const parts = existsSync(partsFolder) ? readdirSync(partsFolder).sort() : [];
  return [
    ...parseOneLineSources(read(path.join(configFolder, 'sources.list'))),
    ...parts.flatMap(name => {
      const text = () => read(path.join(partsFolder, name));
      if (name.endsWith('.list')) return parseOneLineSources(text());
      return name.endsWith('.sources') ? parseDeb822Sources(text()) : [];
    }),
  ];
}

/**
 * Keys to check the mirror's signatures with: those the machine uses for it, and Debian's keyring, since the machine's
 * may know its own release only. An embedded key cannot be combined with files and stands alone.
 */
export function signingKeys(source: AptSource, keyrings: readonly string[]): string | undefined {
  const own = source.signedBy?.split(/[\s,]+/).filter(word => word !== '') ?? [];
  if (own.some(word => !word.startsWith('/'))) return source.signedBy;
  const files = [...new Set([...own, ...keyrings.slice(0, 1)])];
  return files.length > 0 ? files.join(' ') : undefined;
}

/** A private apt in a folder of its own, for one target and one mirror. */
export class Apt {
  readonly #folder: string;
  readonly #signal: AbortSignal | undefined;

  private constructor(folder: string, signal: AbortSignal | undefined) {
    this.#folder = folder;
    this.#signal = signal;
  }

  /**
   * Prepares the state in `folder` and fetches the package lists from the first of the machine's Debian mirrors that
   * answers. Throws `unsupported` when this machine has no apt or no Debian mirror, `io` when none answers.
   */
  static async open(
    folder: string,
    target: AptTarget,
    sources: readonly AptSource[],
    signal?: AbortSignal,
  ): Promise<Apt> {
    const apt = new Apt(folder, signal);
    await apt.#checkPrograms();
    const mirrors = debianMirrors(sources, target.suite, target.component);
    if (mirrors.length === 0) {
      const advice = `add a Debian mirror to apt's sources, or ${INSTEAD}`;
      throw new AfterimageError('unsupported', `The default guest needs a Debian mirror, and apt has none: ${advice}`);
    }
    await apt.#prepare();
    let last: unknown;
    for (const mirror of mirrors) {
      try {
        await apt.#update(mirror, target);
        return apt;
      } catch (thrown) {
        signal?.throwIfAborted();
        if (thrown instanceof AfterimageError && thrown.kind === 'no-space') throw thrown;
        last = thrown;
      }
    }
    const reason = last instanceof Error ? last.message : String(last);
    const message = `The packages of the default guest cannot be fetched: ${reason} (check the network, or ${INSTEAD})`;
    throw new AfterimageError('io', message, {}, { cause: last });
  }

  /** What the mirror has under these names, in their order. */
  async show(names: readonly string[]): Promise<AvailablePackage[]> {
    const found = parseStanzas(await this.#showStanzas(names)).map(toPackage);
    return names.map(name => {
      const match = found.find(candidate => candidate.name === name);
      if (match === undefined) {
        const message = `The Debian mirror has no package ${name} for this guest: ${INSTEAD}`;
        throw new AfterimageError('missing', message, { package: name });
      }
      return match;
    });
  }

  /** Fails when not one of the names is known, which is no different from the others for us. */
  async #showStanzas(names: readonly string[]): Promise<string> {
    try {
      return await this.#apt('apt-cache', ['show', '--no-all-versions', ...names]);
    } catch (thrown) {
      if (thrown instanceof AfterimageError && /No packages found/.test(String(thrown.context.output))) return '';
      throw thrown;
    }
  }

  /** Downloads and verifies packages; returns the file of each, in their order. `onBytes` gets the sum so far. */
  async download(packages: readonly AvailablePackage[], onBytes: (done: number) => void): Promise<string[]> {
    const folder = path.join(this.#folder, 'packages');
    await mkdir(folder, { recursive: true });
    const total = packages.reduce((sum, { size }) => sum + size, 0);
    const names = packages.map(({ name, version }) => `${name}=${version}`);
    await this.#apt('apt-get', ['download', '-o', 'APT::Status-Fd=3', ...names], folder, line => {
      const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1];
      if (percent !== undefined) onBytes(Math.round((Number(percent) / 100) * total));
    });
    const files = await readdir(folder);
    return packages.map(({ name }) => {
      const file = files.find(candidate => candidate.startsWith(`${name}_`) && candidate.endsWith('.deb'));
      if (file === undefined)
        throw new AfterimageError('io', `apt did not deliver the package ${name}`, { package: name });
      return path.join(folder, file);
    });
  }

  async #checkPrograms(): Promise<void> {
    for (const program of ['apt-get', 'apt-cache', 'dpkg-deb']) {
      try {
        await run(program, ['--version'], { signal: this.#signal });
      } catch (thrown) {
        if (!(thrown instanceof AfterimageError) || thrown.kind !== 'missing') throw thrown;
        const message = `The default guest is made from Debian packages, and this machine has no ${program}: ${INSTEAD}`;
        throw new AfterimageError('unsupported', message, { program });
      }
    }
  }

  async #prepare(): Promise<void> {
    // apt's configuration has no way to write a quotation mark inside a value.
    if (/["\n]/.test(this.#folder)) {
      throw new AfterimageError('usage', 'The cache folder must not have a quotation mark or line end in its name', {
        folder: this.#folder,
      });
    }
    for (const folder of ['state/lists/partial', 'cache/archives/partial']) {
      await mkdir(path.join(this.#folder, folder), { recursive: true });
    }
    await writeFile(path.join(this.#folder, 'state/status'), '');
  }

  async #update(mirror: AptSource, target: AptTarget): Promise<void> {
    const signedBy = signingKeys(mirror, DEBIAN_KEYRINGS.filter(existsSync));
    await writeFile(this.#file('debian.sources'), formatSource({ uri: mirror.uri, signedBy }, target));
    await writeFile(this.#file('apt.conf'), configuration(this.#folder, target.architecture));
    await this.#apt('apt-get', ['update']);
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  #apt(program: string, args: readonly string[], cwd = this.#folder, onStatus?: (line: string) => void) {
    // Options given with -c are read after the machine's own and win.
    return run(program, ['-q', '-c', this.#file('apt.conf'), ...args], {
      cwd,
      signal: this.#signal,
      ...(onStatus ? { onStatus } : {}),
    });
  }
}

/**
 * Settings over the machine's own, which stay where they concern the network (proxies, credentials). Cleared is what
 * would act on the machine (hooks), ask for its own release, or weaken the check of signatures.
 */
function configuration(folder: string, architecture: string): string {
  return `Dir::State "${folder}/state";
Dir::State::status "${folder}/state/status";
Dir::State::lists "lists";
Dir::Cache "${folder}/cache";
Dir::Etc::SourceList "${folder}/debian.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
#clear APT::Architectures;
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
#clear APT::Default-Release;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
// apt's own user could not enter the folder, which is private to whoever runs this.
APT::Sandbox::User "root";
`;
}

function toPackage(stanza: ReadonlyMap<string, string>): AvailablePackage {
  return {
    name: stanza.get('package') ?? '',
    version: stanza.get('version') ?? '',
    size: Number(stanza.get('size') ?? 0),
    sha256: stanza.get('sha256') ?? '',
    // Alternatives and versions do not matter to us: the first name of each.
    depends: (stanza.get('depends') ?? '')
      .split(',')
      .map(part => part.trim().split(/[\s(|:]/)[0] ?? '')
      .filter(name => name !== ''),
  };
}
