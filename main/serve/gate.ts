// Who is let in. The address that is printed carries a token in its fragment; a page trades it for a cookie that
// scripts cannot read, and for a pass that lets it in at the next run of the host. Names of hosts are checked, so that
// another site cannot reach us through a name of its own that resolves to this machine.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const TOKEN_BYTES = 32;
/** Pages of one user; the oldest session goes first. */
const MOST_SESSIONS = 64;
/** A pass is renewed whenever its page comes back; one that was not used for so long is forgotten. */
const PASS_MILLISECONDS = 7 * 24 * 3600 * 1000;
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

export class Gate {
  readonly token = randomBytes(TOKEN_BYTES).toString('hex');
  readonly #sessions = new Set<string>();
  readonly #hosts: ReadonlySet<string>;
  readonly #cookie: string;
  readonly #key: Uint8Array;
  readonly #now: () => number;

  /**
   * `others`: host names, with their port if they have one, under which a reverse proxy shows us. `key` signs passes: a
   * host that has the same one takes them.
   */
  constructor(port: number, others: readonly string[], key: Uint8Array, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
    this.#hosts = new Set([...LOOPBACK.map(name => `${name}:${port}`), ...others.map(name => name.toLowerCase())]);
    // Cookies do not know ports: two hosts on one machine must not overwrite each other's.
    this.#cookie = `afterimage-${port}`;
  }

  /** The name that was used for us is one of ours. */
  isOurHost(request: IncomingMessage): boolean {
    const { host } = request.headers;
    return host !== undefined && this.#hosts.has(host.toLowerCase());
  }

  /** The page that asks is one of ours. Browsers always say so for what is not a plain reading of a page. */
  isOurOrigin(request: IncomingMessage): boolean {
    const { origin } = request.headers;
    if (origin === undefined) return false;
    const parsed = URL.parse(origin);
    return (
      parsed !== null && /^https?:$/.test(parsed.protocol) && this.#hosts.has(parsed.host) && origin === parsed.origin
    );
  }

  /** A navigation or a page of ours; for requests that change nothing. */
  isOurPage(request: IncomingMessage): boolean {
    const site = request.headers['sec-fetch-site'];
    return site === undefined || site === 'same-origin' || site === 'none';
  }

  isTheToken(given: unknown): boolean {
    return typeof given === 'string' && isSame(given, this.token);
  }

  /** What lets a page in again, at this host or at the next one with the same key. */
  newPass(): string {
    const content = `${this.#now().toString(36)}.${randomBytes(16).toString('hex')}`;
    return `${content}.${this.#signature(content)}`;
  }

  isPass(given: unknown): boolean {
    const match = typeof given === 'string' ? /^(([0-9a-z]{1,12})\.[0-9a-f]{32})\.([0-9a-f]{64})$/.exec(given) : null;
    if (match === null || !isSame(match[3]!, this.#signature(match[1]!))) return false;
    return this.#now() - Number.parseInt(match[2]!, 36) < PASS_MILLISECONDS;
  }

  hasSession(request: IncomingMessage): boolean {
    const cookies = (request.headers.cookie ?? '').split(';').map(cookie => cookie.trim());
    const own = cookies.find(cookie => cookie.startsWith(`${this.#cookie}=`));
    return own !== undefined && this.#sessions.has(own.slice(this.#cookie.length + 1));
  }

  /** A new session, as the value of `set-cookie`. */
  letIn(request: IncomingMessage): string {
    const session = randomBytes(TOKEN_BYTES).toString('hex');
    this.#sessions.add(session);
    if (this.#sessions.size > MOST_SESSIONS) this.#sessions.delete(this.#sessions.values().next().value!);
    const secure = request.headers.origin?.startsWith('https:') ? '; Secure' : '';
    return `${this.#cookie}=${session}; HttpOnly; SameSite=Strict; Path=/${secure}`;
  }

  #signature(content: string): string {
    return createHmac('sha256', this.#key).update(`pass ${content}`).digest('hex');
  }
}

/** In a time that says nothing of where they differ. */
function isSame(given: string, wanted: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(wanted)];
  return one.length === other.length && timingSafeEqual(one, other);
}
