/** Where pages live in Electron: a scheme of our own, so that a page has an origin and no access to files. */
export const SCHEME = 'app';
export const ORIGIN = `${SCHEME}://afterimage`;

/** Whether an address is one of our pages. */
export function isOurs(address: string): boolean {
  const parsed = URL.parse(address);
  // `origin` of other schemes than the web's is 'null' where they are not registered.
  return parsed !== null && `${parsed.protocol}//${parsed.host}` === ORIGIN && parsed.username === '';
}
