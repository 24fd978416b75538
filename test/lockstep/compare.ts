// Runs the same program on our core and in QEMU, compares every record, and explains the first that differs.
import { RAM_BASE } from '../../engine/core/core.ts';
import { Random } from '../contract/random.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { disassemble } from '../framework/disassembler.ts';
import { decode } from '../framework/encode.ts';
import { runInQemu } from '../framework/qemu.ts';
import { F_NAMES, X_NAMES } from '../framework/registers.ts';
import { isNoOperation, noOperation, type Unit, unitName, withOnly } from './block.ts';
import { type NotedTrap, sameTrap } from './exceptions.ts';
import { generateBlock } from './generate.ts';
import {
  buildProgram,
  type Case,
  type Environment,
  type Program,
  readResult,
  recordBytes,
  registerSets,
} from './program.ts';

export interface Outcome {
  /** Instructions of blocks that retired. */
  readonly executed: number;
  readonly traps: number;
  /** How often each instruction is in the blocks. */
  readonly drawn: ReadonlyMap<string, number>;
  /** What differs, as text for a person; undefined when nothing does. */
  readonly difference: string | undefined;
}

/** Generates `blocks` blocks from a seed, runs them on both, and compares. */
export async function compareGenerated(seed: number, blocks: number, environment: Environment): Promise<Outcome> {
  return compareCases(generateCases(seed, blocks, environment), seed, environment);
}

export function generateCases(seed: number, blocks: number, environment: Environment): Case[] {
  const random = new Random(seed);
  return Array.from({ length: blocks }, () => ({
    units: generateBlock(random, 10 + random.below(40), environment),
    set: random.below(256),
    pattern: random.below(16),
  }));
}

/** Changes the image that our core gets, to see that differences are found. */
export type Sabotage = (image: Uint8Array) => void;

export async function compareCases(
  cases: readonly Case[],
  seed: number,
  environment: Environment,
  sabotage?: Sabotage,
): Promise<Outcome> {
  const program = buildProgram(cases, registerSets(seed, environment), environment);
  const drawn = new Map<string, number>();
  for (const one of cases) {
    for (const unit of one.units) drawn.set(unitName(unit), (drawn.get(unitName(unit)) ?? 0) + 1);
  }
  const [ours, theirs] = await runBoth(program, cases.length, sabotage);
  let traps = 0;
  for (let index = 0; index < cases.length; index++) traps += readResult(ours.ram, index).trapCount;
  const { fixed, perBlock, perTrap } = program.overhead;
  const executed = ours.retired - fixed - perBlock * cases.length - perTrap * traps;
  const bad = firstDifference(ours.ram, theirs, cases.length);
  if (bad === undefined) return { executed, traps, drawn, difference: undefined };
  const difference = await explain({ bad: cases[bad]!, seed, environment, sabotage }, bad, ours.ram, theirs, program);
  return { executed, traps, drawn, difference };
}

interface OurRun {
  readonly ram: Uint8Array;
  readonly retired: number;
}

async function runBoth(program: Program, blocks: number, sabotage?: Sabotage): Promise<[OurRun, Uint8Array]> {
  const image = program.image.slice();
  sabotage?.(image);
  const theirs = runInQemu(program.image, { timeout: 60_000 });
  theirs.catch(() => {});
  return [await runOurs(image, blocks), await theirs];
}

/** Runs a program on our core, at most `slice` instructions at a time. */
export async function runOurs(image: Uint8Array, blocks: number, slice?: number): Promise<OurRun> {
  const machine = new BareMachine(await coreModule());
  machine.load(image);
  // Blocks have at most 60 units, a few of them in short loops; whoever needs more is lost.
  const ending = machine.run(10_000 + blocks * 3_000, slice);
  if (typeof ending !== 'object')
    throw new Error(`The core did not reach the end: ${ending}, pc ${machine.core.pc.toString(16)}`);
  return { ram: machine.ram, retired: Number(machine.core.instructionsRetired) };
}

function firstDifference(ours: Uint8Array, theirs: Uint8Array, blocks: number): number | undefined {
  for (let index = 0; index < blocks; index++) {
    if (differ(ours, theirs, index)) return index;
  }
  return undefined;
}

function differ(ours: Uint8Array, theirs: Uint8Array, index: number): boolean {
  if (Buffer.compare(recordBytes(ours, index), recordBytes(theirs, index)) === 0) return false;
  return differences(ours, theirs, index).length > 0;
}

/** What differs in a result, one line each. */
function differences(ourRam: Uint8Array, theirRam: Uint8Array, index: number): string[] {
  const ours = readResult(ourRam, index);
  const theirs = readResult(theirRam, index);
  const lines: string[] = [];
  if (ours.trapCount !== theirs.trapCount) lines.push(`traps: ours ${ours.trapCount}, QEMU's ${theirs.trapCount}`);
  ours.traps.forEach((trap, index) => {
    const wanted = theirs.traps[index];
    if (wanted === undefined || !sameTrap(nameAt(ourRam, trap.epc), trap, wanted))
      lines.push(`trap ${index}: ours ${trapText(trap)}, QEMU's ${wanted ? trapText(wanted) : 'none'}`);
  });
  for (const [name, value] of ours.state) {
    const wanted = theirs.state.get(name)!;
    if (value !== wanted) lines.push(`${name}: ours ${hex(value)}, QEMU's ${hex(wanted)}`);
  }
  return lines;
}

/** Name of the instruction at an address that is the same with and without translation. */
function nameAt(ram: Uint8Array, address: bigint): string {
  const at = Number(address - BigInt(RAM_BASE));
  if (!(at >= 0 && at + 4 <= ram.length)) return 'nothing';
  return decode(new DataView(ram.buffer, ram.byteOffset).getUint32(at, true))?.name ?? 'illegal';
}

const trapText = (trap: NotedTrap) => `cause ${trap.cause} tval ${hex(trap.tval)} at ${trap.epc.toString(16)}`;

/** A block that differs, and how to run others like it. */
interface Failure {
  readonly bad: Case;
  readonly seed: number;
  readonly environment: Environment;
  readonly sabotage: Sabotage | undefined;
}

async function explain(
  failure: Failure,
  index: number,
  ours: Uint8Array,
  theirs: Uint8Array,
  program: Program,
): Promise<string> {
  const { bad, seed, environment } = failure;
  const smaller = await minimise(failure);
  const units = smaller ?? bad.units;
  const lines = [
    `Block ${index} of seed ${seed} (${environment.name}), register set ${bad.set}, pattern ${bad.pattern}:`,
    ...differences(ours, theirs, index)
      .slice(0, 12)
      .map(line => `  ${line}`),
    smaller
      ? 'What is left of the block when everything is taken out that is not needed:'
      : 'The block (it cannot be made smaller):',
    ...listing(units, program.blockAddresses[index]!),
    'The registers that it reads begin as:',
    ...inputs(units, program.values.sets[bad.set]!),
  ];
  return lines.join('\n');
}

const hex = (value: bigint) => `0x${value.toString(16).padStart(16, '0')}`;

function listing(units: readonly Unit[], at: number): string[] {
  const lines: string[] = [];
  let pc = BigInt(at);
  for (const unit of units) {
    const bits = unit.bits
      .toString(16)
      .padStart(unit.size * 2, '0')
      .padStart(8);
    if (!isNoOperation(unit)) lines.push(`  ${pc.toString(16)}: ${bits}  ${disassemble(unit.bits, pc)}`);
    pc += BigInt(unit.size);
  }
  return lines;
}

/** The start values of all registers that the text of the units names. */
function inputs(units: readonly Unit[], set: readonly bigint[]): string[] {
  const text = units
    .filter(unit => !isNoOperation(unit))
    .map(unit => disassemble(unit.bits))
    .join('\n');
  const named = (name: string) => new RegExp(`\\b${name}\\b`).test(text);
  const lines: string[] = [];
  for (let register = 1; register < 32; register++) {
    if (named(X_NAMES[register]!)) lines.push(`  ${X_NAMES[register]} = ${hex(set[register - 1]!)}`);
  }
  for (let register = 0; register < 32; register++) {
    if (named(F_NAMES[register]!)) lines.push(`  ${F_NAMES[register]} = ${hex(set[31 + register]!)}`);
  }
  lines.push(`  fcsr = ${hex(set[63]!)}`);
  return lines;
}

/** Times that a smaller block is looked for; each is a run of QEMU. */
const ATTEMPTS = 40;

/**
 * The block with as much as possible replaced by no-ops, so that it still differs: first what follows the earliest
 * difference, then one unit after another. All candidates of a round are blocks of one program. Undefined when the
 * block alone does not differ.
 */
async function minimise(failure: Failure): Promise<readonly Unit[] | undefined> {
  const { bad } = failure;
  try {
    const prefixes = bad.units.map((_, end) => withOnly(bad.units, index => index <= end));
    let best = (await differing(prefixes, failure))[0];
    for (let attempt = 0; best !== undefined && attempt < ATTEMPTS; attempt++) {
      const now: readonly Unit[] = best;
      const removable = now.flatMap((unit, index) => (isNoOperation(unit) || unit.fixed ? [] : [index]));
      const without = (gone: ReadonlySet<number>) =>
        now.map((unit, index) => (gone.has(index) ? noOperation(unit) : unit));
      // Without each by itself, and without each together with all before it.
      const candidates = removable.flatMap((index, place) => [
        without(new Set(removable.slice(0, place + 1))),
        without(new Set([index])),
      ]);
      const found = await differing(candidates, failure);
      const next = found.sort((a, b) => count(b) - count(a))[0];
      if (next === undefined) break;
      best = next;
    }
    return best;
  } catch {
    // A candidate may run away; the whole block is shown then.
    return undefined;
  }
}

const count = (units: readonly Unit[]) => units.filter(isNoOperation).length;

async function differing(candidates: readonly Unit[][], failure: Failure): Promise<Unit[][]> {
  if (candidates.length === 0) return [];
  const { bad, seed, environment, sabotage } = failure;
  const cases = candidates.map(units => ({ ...bad, units }));
  const program = buildProgram(cases, registerSets(seed, environment), environment);
  const [ours, theirs] = await runBoth(program, cases.length, sabotage);
  return candidates.filter((_, index) => differ(ours.ram, theirs, index));
}
