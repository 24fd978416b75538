// Commands in the guest from the command line: input and output byte for byte, as they come, with limits and status.
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Command, endOf } from '../cli/command.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';

const MIB = 2 ** 20;
const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function runningMachine() {
  const library = path.join(temporaryFolder(), 'library');
  const start = (name: string, ...words: string[]) => Command.real([name, '--library', library, ...words]);
  const run = async (words: readonly string[], input: string | Uint8Array = '') => {
    const { status, stdout, stderr } = await endOf(start('exec', 'm', ...words), input);
    return { status, out: stdout.toString(), err: stderr };
  };
  const other = async (name: string, ...words: string[]) => await endOf(start(name, ...words));
  expect((await other('create', 'm', '--memory', '192M')).stderr).toBe('');
  onTestFinished(async () => void (await other('delete', 'm', '--force', '--yes')));
  expect((await other('start', 'm', '--detach')).stderr).toBe('');
  return { start, run };
}

it('forwards input, streams output, keeps limits apart and the status', async () => {
  const { start, run } = await runningMachine();

  // A megabyte, as the terminal has it: lines end as they do here.
  const much = await run(['--', 'seq 100000 260000']);
  const expected = Array.from({ length: 160_001 }, (_, index) => `${100_000 + index}\n`).join('');
  expect(much.out.length).toBeGreaterThan(MIB);
  expect([much.status, much.err, sha256(much.out)]).toEqual([0, '', sha256(expected)]);

  // Every byte value, and what a terminal or shell would act on.
  const binary = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), randomBytes(MIB / 2)]);
  const hashed = await run(['--', 'sha256sum; exit 3'], binary);
  expect(hashed).toEqual({ status: 3, out: `${sha256(binary)}  -\n`, err: '' });
  // Input that is not read does not become commands, and the terminal is as before.
  expect(await run(['--', 'true'], 'echo wrong\n'.repeat(1000))).toEqual({ status: 0, out: '', err: '' });
  expect((await run(['--', 'stty -a </dev/ttyS0'])).out).toMatch(/ echo /);
  expect(await run(['--', 'cat; printf end'], 'no line end')).toEqual({ status: 0, out: 'no line endend', err: '' });
  expect(await run(['--no-input', '--', 'cat'], 'not given')).toEqual({ status: 0, out: '', err: '' });
  expect((await run(['--', 'ls /tmp'])).out).toBe('');
  // A command too long for a line of the shell, with input.
  const long = `${Array.from({ length: 200 }, (_, index) => `v${index}=${index}`).join('\n')}\ncat; echo $v199`;
  expect((await run(['--', long], 'given\n')).out).toBe('given\n199\n');
  expect((await run(['--', 'cat'], Buffer.alloc(4 * MIB + 1))).err).toMatch(/longer than 4 MiB/);

  // What it has printed is there while it runs.
  const slow = start('exec', 'm', '--timeout', '8', '--', 'echo first; sleep 1000');
  slow.process.stdin!.end();
  await slow.shows('first\n');
  // The shell is busy meanwhile: that has its own limit, and leaves the command alone.
  const busy = await run(['--prompt-timeout', '1', '--', 'echo no']);
  expect([busy.status, busy.err]).toEqual([1, expect.stringContaining('does not wait for a command')]);
  expect(await slow.end()).toMatchObject({ status: 1, stderr: expect.stringContaining('it was interrupted') });
  // Also one that has read its input; the terminal is as before.
  expect((await run(['--timeout', '1', '--', 'cat >/dev/null; sleep 1000'], 'x')).status).toBe(1);
  expect((await run(['--', 'stty -a </dev/ttyS0'])).out).toMatch(/ echo /);
});
