// The floating-point unit compiled on its own.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import asc from 'assemblyscript/asc';
import type { Kind, Operation } from './operations.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Changes a source before it is compiled; `name` is the file's own name. */
export type SourceEdit = (name: string, source: string) => string;

type Operand = bigint | number;

export interface FloatUnit {
  readonly flags: () => number;
  readonly setFlags: (flags: number) => void;
  /** Runs an operation on raw bits; gives raw bits. `mode` is unused by operations that do not round. */
  readonly run: (operation: Operation, operands: readonly bigint[], mode: number) => bigint;
  /** The value of an exported global. */
  readonly global: (name: string) => number;
}

/** Compiles `engine/core/assembly/float` in memory. */
export async function compileFloatUnit(edit: SourceEdit = (_, source) => source): Promise<FloatUnit> {
  let binary: Uint8Array | undefined;
  const options = {
    stdout: asc.createMemoryStream(),
    stderr: asc.createMemoryStream(),
    readFile: async (name: string, base: string) => {
      const source = await readFile(path.resolve(base, name), 'utf8').catch(() => null);
      return source === null ? null : edit(path.basename(name), source);
    },
    writeFile: (_name: string, contents: Uint8Array | string) => {
      if (typeof contents !== 'string') binary = contents;
    },
    listFiles: () => [],
  };
  const entry = 'engine/core/assembly/float/index.ts';
  const { error } = await asc.main(
    [entry, '--baseDir', root, '--outFile', 'float.wasm', '-O3', '--runtime', 'stub'],
    options,
  );
  if (error !== null || binary === undefined)
    throw new Error(`The unit does not compile: ${options.stderr.toString()}`);
  return wrap(new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(binary)), {}).exports);
}

function wrap(exports: Readonly<Record<string, unknown>>): FloatUnit {
  const functionNamed = (name: string): ((...operands: Operand[]) => Operand) => {
    const found = exports[name];
    if (typeof found !== 'function') throw new Error(`The unit does not export ${name}`);
    return found as (...operands: Operand[]) => Operand;
  };
  const global = (name: string): number => {
    const found = exports[name];
    if (!(found instanceof WebAssembly.Global)) throw new Error(`The unit does not export ${name}`);
    return Number(found.value);
  };
  return {
    flags: () => global('floatFlags'),
    setFlags: value => {
      functionNamed('setFloatFlags')(value);
    },
    run: (operation, operands, mode) => {
      const args = operands.map((bits, index) => argument(bits, operation.operands[index]));
      if (operation.rounds) args.push(mode);
      const result = functionNamed(operation.name)(...args);
      return typeof result === 'bigint' ? BigInt.asUintN(64, result) : BigInt(result >>> 0);
    },
    global,
  };
}

function argument(bits: bigint, kind: Kind | undefined): Operand {
  return kind === 'f64' || kind === 'i64' || kind === 'u64' ? bits : Number(bits);
}

/** The functions that compute in integers, and the files they are in. */
const EXACT_FUNCTIONS = /export function (?:addExact|mulExact|divExact|sqrtExact|mulAddExact|narrowExact)\(.*\{\n/g;
const EXACT_FUNCTION_COUNT = 6;

/** A unit whose global `exactCalls` counts the calls that left the native paths. */
export async function compileCountingUnit(): Promise<FloatUnit> {
  // A set, because the compiler may read a file more than once.
  const found = new Set<string>();
  const unit = await compileFloatUnit((name, source) => {
    if (name === 'common.ts') {
      return `${source}\nexport let exactCalls: u32 = 0;\nexport function countExact(): void { exactCalls += 1; }\n`;
    }
    if (name === 'index.ts') return `${source}\nexport { exactCalls } from './common';\n`;
    const counted = source.replace(EXACT_FUNCTIONS, heading => {
      found.add(heading);
      return `${heading}  countExact();\n`;
    });
    return counted === source ? source : `import { countExact } from './common';\n${counted}`;
  });
  if (found.size !== EXACT_FUNCTION_COUNT) {
    throw new Error(`${found.size} exact functions instead of ${EXACT_FUNCTION_COUNT}`);
  }
  return unit;
}
