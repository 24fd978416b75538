// The control format of Debian (deb-src-control(5), deb822): stanzas of `Field: value`, separated by empty lines.

/** One stanza: field names in lower case. A continued value keeps its lines, each without its first blank. */
export type Stanza = ReadonlyMap<string, string>;

export function parseStanzas(text: string): Stanza[] {
  const stanzas: Stanza[] = [];
  let fields = new Map<string, string>();
  let last: string | undefined;
  const finish = () => {
    if (fields.size > 0) stanzas.push(fields);
    fields = new Map();
    last = undefined;
  };
  for (const line of text.split('\n').map(raw => raw.trimEnd())) {
    if (line.startsWith('#')) continue; // a comment may stand inside a field
    if (line === '') finish();
    else if (/^\s/.test(line)) {
      if (last !== undefined) fields.set(last, `${fields.get(last)}\n${line.slice(1)}`);
    } else {
      const colon = line.indexOf(':');
      if (colon <= 0) continue;
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1).trim());
    }
  }
  finish();
  return stanzas;
}
