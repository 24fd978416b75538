// Finds out what busybox can do without running it: the host need not be able to execute RISC-V programs.
import { AfterimageError } from '../../engine/base/errors.ts';

/** Applets that every busybox fit for us has; they also make sure that the right table was found. */
const EXPECTED = ['ash', 'busybox', 'insmod', 'modprobe', 'mount', 'poweroff', 'sh', 'stty', 'umount'];

/** Letters of applet names: `[`, `[[`, `ping6`, `run-init`. */
const NAME = /^[a-z0-9[_.-]+$/;

/**
 * The applet names of a busybox program. It keeps them as NUL-ended texts in strictly rising order, for its own binary
 * search; that run, around the name `busybox`, is what this looks for.
 */
export function appletNames(program: Uint8Array): string[] {
  const bytes = Buffer.from(program.buffer, program.byteOffset, program.byteLength);
  for (let at = bytes.indexOf('\0busybox\0'); at >= 0; at = bytes.indexOf('\0busybox\0', at + 1)) {
    const names = risingRun(bytes, at + 1);
    // Nothing separates the first name, `[`, from whatever constant stands before the table.
    if (names[0] === '[[') names.unshift('[');
    if (EXPECTED.every(name => names.includes(name))) return names;
  }
  throw new AfterimageError('unsupported', 'The busybox of the Debian package has no list of applets');
}

function risingRun(bytes: Buffer, start: number): string[] {
  const names = [textAt(bytes, start)];
  let at = start + names[0]!.length + 1;
  for (let name = textAt(bytes, at); follows(names.at(-1)!, name); name = textAt(bytes, at)) {
    names.push(name);
    at += name.length + 1;
  }
  at = start - 1;
  for (;;) {
    const begin = bytes.lastIndexOf(0, at - 1) + 1;
    const name = bytes.toString('latin1', begin, at);
    if (!follows(name, names[0]!)) return names;
    names.unshift(name);
    at = begin - 1;
  }
}

function follows(earlier: string, later: string): boolean {
  return NAME.test(earlier) && NAME.test(later) && earlier < later;
}

function textAt(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at);
  return end < 0 ? '' : bytes.toString('latin1', at, end);
}
