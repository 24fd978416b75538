// What is typed at the guest's shell to run a command.

/** The shell's line editor takes 1023 characters; longer commands are put together from pieces. */
const LONGEST_LINE = 600;
/** Each takes up to four characters of a line. */
const ESCAPES_A_LINE = 150;
/** Bytes of input in a line: 684 characters, of which a terminal's line holds 4095. */
const INPUT_A_LINE = 513;

/** Ends the input at the beginning of a line. */
export const END_OF_INPUT = '\u0004';
/** After a command that was given input was interrupted. */
export const ECHO_AGAIN = ' stty echo';

/**
 * Lines for one prompt each, the last of which runs the command between the markers. These are split, so that the shell's
 * echo of the line is not taken for them. With input it waits for it, and then runs the command.
 */
export function linesFor(command: string, from: string, to: string, hasInput: boolean): string[] {
  const split = (marker: string) => `'${marker.slice(0, 4)}''${marker.slice(4)}'`;
  const begin = `printf '%s\\n' ${split(from)}`;
  const end = `printf '%s %s\\n' ${split(to)}`;
  // The whole input is there before the command runs: what it would not read must not become commands of the shell.
  const frame = (run: string) =>
    hasInput
      ? ` stty -echo; _i=$(mktemp); ${begin}; base64 -d >"$_i"; exec 3<"$_i"; rm "$_i"; ${run} <&3 3<&-; _s=$?; exec 3<&-; stty echo; ${end} $_s`
      : ` ${begin}; ${run} </dev/null; ${end} $?`;
  const quoted = `sh -c '${command.replaceAll("'", "'\\''")}'`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the line editor would act on them
  const simple = !/[\u0000-\u001f\u007f]/.test(command) && quoted.length <= LONGEST_LINE;
  if (simple) return [frame(quoted)];
  const lines = [" _c=''"];
  const encoded = [...Buffer.from(command)].map(escaped);
  for (let at = 0; at < encoded.length; at += ESCAPES_A_LINE) {
    lines.push(` _c="$_c"'${encoded.slice(at, at + ESCAPES_A_LINE).join('')}'`);
  }
  lines.push(frame(`sh -c "$(printf "$_c")"`));
  return lines;
}

/** Input as it is typed, from a byte on; `next` is where the next piece begins. */
export function inputPiece(
  input: Uint8Array,
  at: number,
  most: number,
): { readonly text: string; readonly next: number } {
  const next = Math.min(input.length, at + Math.ceil(most / INPUT_A_LINE) * INPUT_A_LINE);
  let text = '';
  for (let from = at; from < next; from += INPUT_A_LINE) {
    text += `${Buffer.from(input.subarray(from, Math.min(from + INPUT_A_LINE, next))).toString('base64')}\n`;
  }
  return { text, next };
}

/** A byte as the shell's `printf` makes it. */
function escaped(byte: number): string {
  const text = String.fromCharCode(byte);
  return /[A-Za-z0-9 _./-]/.test(text) ? text : `\\${byte.toString(8).padStart(3, '0')}`;
}
