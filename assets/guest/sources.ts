// Reads this machine's apt sources, in both formats (man 5 sources.list), and picks the Debian mirrors among them.
// The project names no mirror of its own: where this machine gets its packages is where the guest's come from.
import { parseStanzas } from './stanzas.ts';

export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** As written: paths, fingerprints or an embedded key block; lines are joined by `\n`. */
  readonly signedBy: string | undefined;
}

/** The one-line format: `deb [option=value ...] uri suite component...`. Lines it cannot understand are left out. */
export function parseOneLineSources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+([^#]+)/.exec(line);
    if (!match) continue;
    const [, options = '', uri = '', rest = ''] = match;
    const [suite, ...components] = rest.trim().split(/\s+/);
    if (suite === undefined || suite === '') continue;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
    sources.push({ uri, suites: [suite], components, signedBy });
  }
  return sources;
}

/** The deb822 format: stanzas of fields, several URIs and suites in each; `Enabled: no` switches one off. */
export function parseDeb822Sources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of parseStanzas(text)) {
    const words = (field: string) => (stanza.get(field) ?? '').split(/\s+/).filter(word => word !== '');
    if (!words('types').includes('deb')) continue;
    if (/^(no|false|without|off|disable|0)$/i.test(stanza.get('enabled')?.trim() ?? '')) continue;
    for (const uri of words('uris')) {
      const signedBy = stanza.get('signed-by')?.trim();
      sources.push({ uri, suites: words('suites'), components: words('components'), signedBy: signedBy || undefined });
    }
  }
  return sources;
}

/** Debian's own names of suites: they tell a Debian mirror from any other repository without knowing its address. */
const DEBIAN_SUITES = new Set([
  ...['buster', 'bullseye', 'bookworm', 'trixie', 'forky', 'duke', 'sid'],
  ...['oldoldstable', 'oldstable', 'stable', 'testing', 'unstable'],
]);

/**
 * The sources that carry Debian's main archive, the one that already offers `suite` first. Security and update suites
 * may live on other servers and do not count.
 */
export function debianMirrors(sources: readonly AptSource[], suite: string, component: string): AptSource[] {
  const usable = sources.filter(
    source =>
      !source.uri.startsWith('cdrom:') &&
      source.components.includes(component) &&
      source.suites.some(name => DEBIAN_SUITES.has(name)),
  );
  const offering = usable.filter(source => source.suites.includes(suite));
  const ordered = [...offering, ...usable.filter(source => !offering.includes(source))];
  return ordered.filter((source, index) => ordered.findIndex(other => other.uri === source.uri) === index);
}

/** A sources file of ours for one mirror: one suite, package lists only, signatures checked with the named keys. */
export function formatSource(
  source: Pick<AptSource, 'uri' | 'signedBy'>,
  wanted: { suite: string; component: string; architecture: string },
): string {
  const lines = [
    'Types: deb',
    `URIs: ${source.uri}`,
    `Suites: ${wanted.suite}`,
    `Components: ${wanted.component}`,
    `Architectures: ${wanted.architecture}`,
    'Targets: Packages',
  ];
  // A continued field, such as an embedded key, needs a blank at the start of each further line.
  if (source.signedBy !== undefined) lines.push(`Signed-By: ${source.signedBy.split('\n').join('\n ')}`);
  return `${lines.join('\n')}\n`;
}
