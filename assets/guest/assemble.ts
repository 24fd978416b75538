// Builds the default guest in a draft folder of the cache: packages, kernel, modules, initramfs, manifest.
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { Apt, type AvailablePackage, machineSources } from './apt.ts';
import type { GuestCache, Manifest } from './cache.ts';
import { decompressXz, fileData, type PackageFiles, readPackage } from './deb.ts';
import type { GuestProgress } from './guest.ts';
import { buildInitramfs } from './initramfs.ts';
import { describeModule, type KernelModule, moduleName, modulesInOrder } from './modules.ts';
import { ARCHITECTURE, COMPONENT, KERNEL_PACKAGE, MODULES, type OwnFile, PACKAGES, SUITE } from './recipe.ts';
import { stripModule } from './strip.ts';

export interface BuildParts {
  readonly cache: GuestCache;
  readonly hash: string;
  readonly own: readonly OwnFile[];
  readonly report: (progress: GuestProgress) => void;
  readonly signal: AbortSignal | undefined;
  readonly aptFolder: string | undefined;
}

/** To be called with the cache's lock held. Afterwards the guest is in the cache, or nothing has changed. */
export async function buildGuest(parts: BuildParts): Promise<void> {
  const draft = await parts.cache.draft();
  try {
    const work = path.join(draft, 'work');
    await mkdir(work);
    await fill(draft, work, parts);
    await rm(work, { recursive: true });
    parts.signal?.throwIfAborted();
    await parts.cache.publish(draft, parts.hash);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function fill(draft: string, work: string, parts: BuildParts): Promise<void> {
  const { hash, own, report, signal } = parts;
  const { packages, files } = await fetchPackages(work, parts);
  const [kernelPackage, ...others] = packages;
  const [kernelFile, ...otherFiles] = files;

  report({ step: 'Unpacking the kernel' });
  const kernelFiles = await readPackage(kernelFile!, isKernelFile, signal);
  await rm(kernelFile!); // the largest by far; what follows may need its place
  const image = findKernel(kernelFiles, kernelPackage!.name);

  report({ step: 'Preparing kernel modules' });
  const modules = await collectModules(kernelFiles, work, signal);

  report({ step: 'Putting the initramfs together' });
  const programs = new Map<string, Uint8Array>();
  for (const [index, file] of otherFiles.entries()) {
    const contents = await readPackage(file, () => true, signal);
    const wanted = PACKAGES.find(({ name }) => name === others[index]!.name);
    for (const { from, to } of wanted?.files ?? []) programs.set(to, fileData(contents, from));
  }
  const initrd = buildInitramfs({ own, files: programs, modules, kernelRelease: image.release });

  await writeFile(path.join(draft, 'kernel'), image.data);
  await writeFile(path.join(draft, 'initrd'), initrd);
  const manifest: Manifest = {
    hash,
    kernelRelease: image.release,
    packages: packages.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
    modules: modules.map(({ name }) => name),
    files: { kernel: describeFile(image.data), initrd: describeFile(initrd) },
  };
  await writeFile(path.join(draft, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

interface Fetched {
  /** The kernel first, then the recipe's packages in its order. */
  readonly packages: readonly AvailablePackage[];
  readonly files: readonly string[];
}

async function fetchPackages(work: string, { report, signal, aptFolder }: BuildParts): Promise<Fetched> {
  report({ step: "Reading Debian's package lists" });
  const target = { suite: SUITE, component: COMPONENT, architecture: ARCHITECTURE };
  const apt = await Apt.open(path.join(work, 'apt'), target, machineSources(aptFolder), signal);
  const [meta, ...programs] = await apt.show([KERNEL_PACKAGE, ...PACKAGES.map(({ name }) => name)]);
  const kernelName = meta?.depends.find(name => name.startsWith('linux-image-'));
  if (kernelName === undefined) {
    throw new AfterimageError('unsupported', `The Debian package ${KERNEL_PACKAGE} names no kernel`);
  }
  const packages = [...(await apt.show([kernelName])), ...programs];
  const total = packages.reduce((sum, { size }) => sum + size, 0);
  report({ step: 'Downloading packages', done: 0, total });
  const files = await apt.download(packages, done => report({ step: 'Downloading packages', done, total }));
  return { packages, files };
}

const KERNEL_PATH = /^boot\/vmlinux-(.+)$/;
const MODULE_PATH = /^(?:usr\/)?lib\/modules\/[^/]+\/(?:kernel\/.*\.ko(?:\.xz)?|modules\.builtin)$/;

function isKernelFile(name: string): boolean {
  return KERNEL_PATH.test(name) || MODULE_PATH.test(name);
}

/** The kernel and its release. Debian's is a plain Image, marked `RISCV` at 0x30 (kernel: riscv/boot-image-header). */
function findKernel(files: PackageFiles, packageName: string): { data: Uint8Array; release: string } {
  for (const [name, entry] of files) {
    const release = KERNEL_PATH.exec(name)?.[1];
    if (release === undefined) continue;
    const mark = Buffer.from(entry.data.subarray(0x30, 0x35)).toString('latin1');
    if (mark === 'RISCV') return { data: entry.data, release };
  }
  throw new AfterimageError('unsupported', `The Debian package ${packageName} holds no RISC-V kernel Image`);
}

async function collectModules(files: PackageFiles, work: string, signal?: AbortSignal): Promise<KernelModule[]> {
  const paths = new Map<string, string>();
  const builtIn = new Set<string>();
  for (const [name, entry] of files) {
    if (name.endsWith('/modules.builtin')) {
      for (const line of Buffer.from(entry.data).toString('utf8').split('\n')) builtIn.add(moduleName(line));
    } else if (MODULE_PATH.test(name)) paths.set(moduleName(name), name);
  }
  const load = async (name: string) => {
    const file = paths.get(name);
    if (file === undefined) return undefined;
    const packed = fileData(files, file);
    const whole = file.endsWith('.xz') ? await decompressXz(packed, work, signal) : packed;
    return describeModule(name, stripModule(whole));
  };
  return modulesInOrder(MODULES, load, builtIn);
}

function describeFile(data: Uint8Array): { size: number; sha256: string } {
  return { size: data.length, sha256: createHash('sha256').update(data).digest('hex') };
}
