import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HostClaim } from './host-claim.ts';

let folder: string;
const computer = createHash('sha256').update(hostname()).digest('hex').slice(0, 12);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'afterimage-claim-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function taken(): Promise<HostClaim> {
  const claim = await HostClaim.take(folder);
  if (!(claim instanceof HostClaim)) throw new Error('it is taken');
  return claim;
}

test('the second is told who the first is and where, in a file for the user alone', async () => {
  const first = await taken();
  expect(await HostClaim.take(folder)).toEqual({ pid: process.pid, address: undefined });
  await first.announce('http://127.0.0.1:1/#token=x');
  expect(await HostClaim.take(folder)).toEqual({ pid: process.pid, address: 'http://127.0.0.1:1/#token=x' });
  const [name] = await readdir(folder);
  expect((await stat(path.join(folder, name!))).mode & 0o777).toBe(0o600);
  await first.release();
  expect(await readdir(folder)).toEqual([]);
  await (await taken()).release();
});

test('of several that come at once exactly one gets it', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => HostClaim.take(folder)));
  const claims = all.filter(one => one instanceof HostClaim);
  expect(claims).toHaveLength(1);
  await claims[0]!.release();
});

test('what a process left that was killed is in nobody’s way', async () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  // Its number, used again by a process that began later; on other systems the number is all there is.
  const others = process.platform === 'linux' ? [`host-${computer}-${process.pid}-1-00000000`] : [];
  for (const name of [`host-${computer}-${pid}-123-00000000`, ...others]) {
    await writeFile(path.join(folder, name), '{"address":"http://127.0.0.1:1/"}');
  }
  const claim = await taken();
  expect(await readdir(folder)).toHaveLength(1);
  await claim.release();
});

test('another computer’s host does not count, and an address elsewhere is none', async () => {
  await writeFile(path.join(folder, 'host-0123456789ab-1-1-00000000'), '{}');
  const first = await taken();
  await first.announce('http://evil.example/#token=x');
  expect(await HostClaim.take(folder)).toEqual({ pid: process.pid, address: undefined });
  await first.release();
  expect(await readdir(folder)).toEqual(['host-0123456789ab-1-1-00000000']);
});
