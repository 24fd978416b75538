import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Command, endOf } from './command.ts';

const root = path.join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };

describe('afterimage --version', () => {
  it('prints name and version', async () => {
    const end = await endOf(Command.real(['--version']));
    expect(end).toMatchObject({ status: 0, stderr: '' });
    expect(end.stdout.toString()).toBe(`afterimage ${version}\n`);
  });

  it('prints the exact ISA string for scripts', async () => {
    const end = await endOf(Command.real(['--version', '--json']));
    expect(end).toMatchObject({ status: 0, stderr: '' });
    const described = JSON.parse(end.stdout.toString());
    expect(described).toMatchObject({ name: 'afterimage', version, xlen: 64, mmu: ['sv39', 'sv48'] });
    expect(described.isa).toMatch(/^rv64imafdc(_z[a-z0-9]+)+(_s[a-z0-9]+)+$/);
  });
});

describe('the command under a Node that is too old', () => {
  const pretend = `data:text/javascript,${encodeURIComponent(
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.0' } })",
  )}`;
  const started = (environment: Record<string, string>) =>
    spawnSync(process.execPath, ['--import', pretend, path.join(root, 'main/cli/afterimage.mjs'), '--version'], {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });

  it('finds the one that came with the package', () => {
    expect(started({})).toMatchObject({ status: 0, stdout: `afterimage ${version}\n` });
  });

  it('says what to do when there is none', () => {
    const end = started({ AFTERIMAGE_RESTARTED: '1' });
    expect(end).toMatchObject({ status: 2, stdout: '' });
    expect(end.stderr).toMatch(/^afterimage: Node 24 or newer is needed, .*npm ci.*\n$/);
  });
});
