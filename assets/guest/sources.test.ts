import { expect, test } from 'vitest';
import { signingKeys } from './apt.ts';
import { debianMirrors, formatSource, parseDeb822Sources, parseOneLineSources } from './sources.ts';
import { parseStanzas } from './stanzas.ts';

const ONE_LINE = `
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # with a remark
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://two.example/debian/ trixie main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
  deb [ trusted=yes ] file:/srv/repository ./
deb http://mirror.example/ubuntu noble main universe
`;

test('one-line sources give URI, suite, components and keys; comments and source packages are left out', () => {
  expect(parseOneLineSources(ONE_LINE)).toEqual([
    { uri: 'http://mirror.example/debian', suites: ['bookworm'], components: ['main', 'contrib'], signedBy: undefined },
    {
      uri: 'https://two.example/debian/',
      suites: ['trixie'],
      components: ['main'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
    {
      uri: 'http://mirror.example/debian-security',
      suites: ['bookworm-security'],
      components: ['main'],
      signedBy: undefined,
    },
    { uri: 'file:/srv/repository', suites: ['./'], components: [], signedBy: undefined },
    { uri: 'http://mirror.example/ubuntu', suites: ['noble'], components: ['main', 'universe'], signedBy: undefined },
  ]);
});

const DEB822 = `# made by an installer
Types: deb deb-src
# a comment inside a stanza
URIs: http://mirror.example/debian http://other.example/debian
Suites: trixie trixie-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main

types: deb
uris: http://third.example/debian
suites:
 bookworm
 bookworm-updates
components: main
signed-by:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKwYBBAHaRw8BAQdAd7Z0srwuhlB6JKFkcf4HU4SSS
 -----END PGP PUBLIC KEY BLOCK-----
`;

test('deb822 sources give every URI of enabled binary stanzas, with continued fields and embedded keys', () => {
  const sources = parseDeb822Sources(DEB822);
  expect(sources.map(({ uri }) => uri)).toEqual([
    'http://mirror.example/debian',
    'http://other.example/debian',
    'http://third.example/debian',
  ]);
  expect(sources[1]).toMatchObject({ suites: ['trixie', 'trixie-updates'], components: ['main', 'non-free-firmware'] });
  expect(sources[2]?.suites).toEqual(['bookworm', 'bookworm-updates']);
  expect(sources[2]?.signedBy).toMatch(/^-----BEGIN[\s\S]*\n\.\n[\s\S]*END PGP PUBLIC KEY BLOCK-----$/);
});

test('Debian mirrors are found by their suites: not security, not Ubuntu, not a CD; the one with the suite first', () => {
  const sources = [
    ...parseOneLineSources('deb cdrom:[Debian]/ trixie main'),
    ...parseOneLineSources(ONE_LINE),
    ...parseDeb822Sources(DEB822),
  ];
  expect(debianMirrors(sources, 'trixie', 'main').map(({ uri }) => uri)).toEqual([
    'https://two.example/debian/',
    'http://mirror.example/debian',
    'http://other.example/debian',
    'http://third.example/debian',
  ]);
  expect(debianMirrors(parseOneLineSources('deb http://mirror.example/ubuntu noble main'), 'trixie', 'main')).toEqual(
    [],
  );
});

test('the source we write names the target and reads back as what it was made from', () => {
  const target = { suite: 'trixie', component: 'main', architecture: 'riscv64' };
  for (const { uri, signedBy } of parseDeb822Sources(DEB822)) {
    const text = formatSource({ uri, signedBy }, target);
    expect(parseStanzas(text)[0]?.get('architectures')).toBe('riscv64');
    expect(parseDeb822Sources(text)).toEqual([{ uri, signedBy, suites: ['trixie'], components: ['main'] }]);
  }
});

test("signatures are checked with the machine's keys for the mirror and Debian's keyring", () => {
  const source = { uri: 'x', suites: [], components: [] };
  const keyrings = ['/keyrings/debian.pgp', '/keyrings/debian.gpg'];
  expect(signingKeys({ ...source, signedBy: undefined }, keyrings)).toBe('/keyrings/debian.pgp');
  expect(signingKeys({ ...source, signedBy: '/a.gpg,/b.gpg' }, keyrings)).toBe('/a.gpg /b.gpg /keyrings/debian.pgp');
  expect(signingKeys({ ...source, signedBy: '/keyrings/debian.pgp' }, keyrings)).toBe('/keyrings/debian.pgp');
  expect(signingKeys({ ...source, signedBy: '-----BEGIN\nkey' }, keyrings)).toBe('-----BEGIN\nkey');
  expect(signingKeys({ ...source, signedBy: undefined }, [])).toBeUndefined();
});
