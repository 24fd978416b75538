// Compiles the core: instruction table -> AssemblyScript -> WASM. Runs at installation and when sources change.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
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

/** Writes a file so that others, who may be building the same at the same time, see all of it or what was there before. */
function replace(file: string, content: string): void {
  const fresh = `${file}.${randomUUID()}`;
  writeFileSync(fresh, content);
  renameSync(fresh, file);
}

/** Builds the core unless what is there was made from the same sources. Returns the path of the WASM file. */
export async function buildCore(force = false): Promise<string> {
  const wanted = stamp();
  if (!force && existsSync(wasmFile) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted)
    return wasmFile;
  const generated = path.join(output, 'generated');
  mkdirSync(generated, { recursive: true });
  replace(path.join(generated, 'opcodes.ts'), generateOpcodes());
  replace(path.join(generated, 'decode.ts'), generateDecoder());
  replace(path.join(generated, 'interpreter.ts'), generateInterpreter());
  const fresh = `core.${randomUUID()}.wasm`;
  const asc = (await import('assemblyscript/asc')).default;
  const arguments_ = [
    'assembly/index.ts',
    '--baseDir',
    here,
    '--outFile',
    `build/${fresh}`,
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
  renameSync(path.join(output, fresh), wasmFile);
  replace(stampFile, wanted);
  return wasmFile;
}

if (process.argv[1] === import.meta.filename) {
  await buildCore(process.argv.includes('--force'));
}
