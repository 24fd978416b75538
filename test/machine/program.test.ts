// Bare-metal programs through the command line, as compliance suites run them: HTIF, signature, limits, commit log.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { elfFile } from '../../engine/firmware/loaders/samples.ts';
import { Assembler } from '../framework/assembler.ts';

const cli = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');
const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-program-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BASE = 0x80000000;
const SYMBOLS = ['tohost', 'fromhost', 'begin_signature', 'end_signature'];

/** Assembles a program with HTIF words and a signature of 32 bytes at its end, with the symbols given in its table. */
function program(name: string, source: string, exported: readonly string[] = SYMBOLS): string {
  const assembler = new Assembler(BASE);
  assembler.text(`${source}
    .align 64
    tohost: .dword 0
    fromhost: .dword 0
    .align 64
    begin_signature: .dword 0x1122334455667788, 0x99aabbccddeeff00
    .dword 1, 2
    end_signature: .dword 0`);
  const bytes = assembler.build();
  const symbols = Object.fromEntries(exported.map(symbol => [symbol, BigInt(assembler.address(symbol))]));
  const file = path.join(folder, `${name}.elf`);
  writeFileSync(file, elfFile({ segments: [{ virtual: BigInt(BASE), bytes }], entry: BigInt(BASE), symbols }));
  return file;
}

function run(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [cli, 'run', ...words], { encoding: 'utf8', timeout: 60_000, input: '' });
}

const exitWith = (value: number) => `
  la t0, tohost
  li t1, ${value}
  sd t1, 0(t0)
  spin: j spin`;

const print = (letter: string) => `
  la t0, tohost
  li t1, ${(1n << 56n) | (1n << 48n) | BigInt(letter.charCodeAt(0))}
  sd t1, 0(t0)
  wait_${letter}: ld t2, 0(t0)
  bnez t2, wait_${letter}`;

describe('a program that ends through HTIF', () => {
  test.each([
    [1, 0],
    [3, 1],
    [2 * 77 + 1, 77],
  ])('with tohost %i gives the status %i', (value, status) => {
    expect(run('--elf', program(`exit${value}`, exitWith(value)))).toEqual({ ...anything(), status, stdout: '' });
  });

  test('prints through the HTIF console', () => {
    const { status, stdout } = run('--elf', program('print', `${print('o')}${print('k')}${exitWith(1)}`));
    expect([status, stdout]).toEqual([0, 'ok']);
  });

  test('may store tohost in two halves', () => {
    const source = `la t0, tohost\n li t1, 3\n sw zero, 4(t0)\n sw t1, 0(t0)\n spin: j spin`;
    expect(run('--elf', program('halves', source)).status).toBe(1);
  });
});

describe('the signature', () => {
  const words = ['1122334455667788', '99aabbccddeeff00', '0000000000000001', '0000000000000002'];

  test.each([
    [4, words.flatMap(word => [word.slice(8), word.slice(0, 8)])],
    [8, words],
    [16, [`${words[1]}${words[0]}`, `${words[3]}${words[2]}`]],
  ])('has lines of %i bytes', (granularity, lines) => {
    const target = path.join(folder, `signature${granularity}`);
    const elf = program(`signature${granularity}`, exitWith(1));
    const result = run('--elf', elf, '--signature', target, '--signature-granularity', String(granularity));
    expect(result.status, result.stderr).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe(`${lines.join('\n')}\n`);
  });
});

test('--max-instructions ends a program that does not', () => {
  const elf = program('endless', 'spin: j spin');
  const result = run('--elf', elf, '--max-instructions', '1000000', '--json');
  expect(result.status).toBe(124);
  expect(JSON.parse(result.stdout)).toEqual(expect.objectContaining({ outcome: 'limit', instructions: 1_000_000 }));
});

test('--max-instructions ends a program that does nothing but trap', () => {
  const elf = program('trapping', 'csrw mtvec, zero\n.word 0');
  const result = run('--elf', elf, '--max-instructions', '10000', '--json');
  expect(result.status).toBe(124);
  expect(JSON.parse(result.stdout)).toEqual(expect.objectContaining({ outcome: 'limit', instructions: 1 }));
});

test('--signature refuses a program without one before it runs', () => {
  const elf = program('unsigned', 'spin: j spin', ['tohost', 'fromhost']);
  const result = run('--elf', elf, '--signature', path.join(folder, 'unsigned'));
  expect(result).toEqual(expect.objectContaining({ status: 2, stderr: expect.stringContaining('no signature') }));
});

test('--trace writes one line for each instruction with what it wrote', () => {
  const target = path.join(folder, 'trace');
  const source = `li a0, 5
    li t0, 0x2000
    csrs mstatus, t0
    fmv.d.x f3, a0
    c.addi a0, 1
    ecall_is_a_trap: la t1, handler
    csrw mtvec, t1
    ecall
    .align 4
    handler: ${exitWith(1)}`;
  const result = run('--elf', program('trace', source), '--trace', target);
  expect(result.status, result.stderr).toBe(0);
  const lines = readFileSync(target, 'utf8').split('\n');
  expect(lines[0]).toBe('core   0: 3 0x0000000080000000 (0x00500513) x10 0x0000000000000005');
  expect(lines[1]).toBe('core   0: 3 0x0000000080000004 (0x000022b7) x5  0x0000000000002000');
  expect(lines[3]).toBe('core   0: 3 0x000000008000000c (0xf20501d3) f3  0x0000000000000005');
  expect(lines[4]).toBe('core   0: 3 0x0000000080000010 (0x0505) x10 0x0000000000000006');
  // ECALL traps and does not retire: the handler's first instruction follows.
  expect(lines[8]).toMatch(/^core {3}0: 3 0x0000000080000024/);
});

test('a program without a way to end is told of when a signature is asked for', () => {
  const file = path.join(folder, 'bare.elf');
  const bytes = new Assembler(BASE).text('li t0, 0x100000\n li t1, 0x5555\n sw t1, 0(t0)\n spin: j spin').build();
  writeFileSync(file, elfFile({ segments: [{ virtual: BigInt(BASE), bytes }], entry: BigInt(BASE) }));
  expect(run('--elf', file).status).toBe(0);
  const result = run('--elf', file, '--signature', path.join(folder, 'none'));
  expect(result.status).not.toBe(0);
  expect(result.stderr).toMatch(/signature/);
  expect(result.stderr.trim().split('\n')).toHaveLength(1);
});

function anything(): Record<string, unknown> {
  return { pid: expect.anything(), output: expect.anything(), stderr: expect.anything(), signal: null };
}
