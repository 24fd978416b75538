// Compiles the core: instruction table -> AssemblyScript -> WASM. Runs at installation and when sources change.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateDecoder, generateOpcodes } from './generate/decoder.ts';
import { generateInterpreter } from './generate/interpreter.ts';

const here = import.meta.dirname;
const output = path.join(here, 'build');
const wasmFile = path.join(output, 'core.wasm');
const stampFile = path.join(output, 'core.stamp');

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map(entry => path.join(entry.parentPath, entry.name))
    .sort();
}

function stamp(): string {
  const hash = createHash('sha256');
  const files = [
    ...sources(path.join(here, 'assembly')),
    ...sources(path.join(here, 'generate')),
    path.join(here, 'isa.ts'),
    path.join(here, 'build.ts'),
  ];
  for (const file of files) hash.update(path.relative(here, file)).update(readFileSync(file));
  return hash.digest('hex');
}

/** Builds the core unless what is there was made from the same sources. Returns the path of the WASM file. */
export async function buildCore(force = false): Promise<string> {
  const wanted = stamp();
  if (!force && existsSync(wasmFile) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted)
    return wasmFile;
  const generated = path.join(output, 'generated');
  mkdirSync(generated, { recursive: true });
  writeFileSync(path.join(generated, 'opcodes.ts'), generateOpcodes());
  writeFileSync(path.join(generated, 'decode.ts'), generateDecoder());
  writeFileSync(path.join(generated, 'interpreter.ts'), generateInterpreter());
  const asc = (await import('assemblyscript/asc')).default;
  const arguments_ = [
    'assembly/index.ts',
    '--baseDir',
    here,
    '--outFile',
    'build/core.wasm',
    '--runtime',
    'stub',
    '-O3',
    '--noAssert',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
    '--enable',
    'threads',
    '--enable',
    'bulk-memory',
    '--disableWarning',
    '235',
    '--debug',
  ];
  const { error, stderr } = await asc.main(arguments_);
  if (error) throw new Error(`The core does not compile:\n${stderr.toString()}`, { cause: error });
  writeFileSync(stampFile, wanted);
  return wasmFile;
}

if (process.argv[1] === import.meta.filename) {
  await buildCore(process.argv.includes('--force'));
}
