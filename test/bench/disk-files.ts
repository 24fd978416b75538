// The files that disks are measured on: always the same content, made by QEMU's tools, in a folder of their own.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DiskFormat } from '../../engine/api/disk.ts';
import type { Layer } from '../../engine/disk/chain/layer.ts';
import { openChain } from '../../engine/disk/chain/open.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { HostFolder } from '../../engine/host/disk-folder.ts';

export const MIB = 2 ** 20;
export const SIZE = 256 * MIB;
const CONTENT = Uint8Array.from({ length: 4 * MIB }, (_, index) => Math.imul(index, 2_654_435_761) >>> 24);

export class BenchFiles {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'afterimage-bench-'));
  readonly host = new HostFolder(this.folder);

  constructor() {
    const parts = Array.from({ length: SIZE / CONTENT.length }, () => CONTENT);
    writeFileSync(this.at('base.raw'), Buffer.concat(parts));
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  open(name: string, access: 'read' | 'write'): Promise<Layer> {
    return openChain(this.host, { path: name, format: formatOf(name) }, { access, codecs: clusterCodecs });
  }

  /** `overlay.qcow2` is empty; `chain-of-N.qcow2` has N such layers, each with a cluster of its own. */
  make(top: string): void {
    if (top === 'copy.raw' && !existsSync(this.at(top))) copyFileSync(this.at('base.raw'), this.at(top));
    const depth = Number(/^chain-of-(\d+)/.exec(top)?.[1] ?? (top === 'overlay.qcow2' ? 1 : 0));
    let below = 'base.raw';
    for (let layer = 1; layer <= depth; layer += 1) {
      const name = layer === depth ? top : `layer${layer}.qcow2`;
      rmSync(this.at(name), { force: true });
      createOverlay(this.at(name), below);
      // So that every layer has a table to look things up in.
      if (depth > 1) spawnSync('qemu-io', ['-f', 'qcow2', '-c', `write -q ${layer * 4 * MIB} 64k`, this.at(name)]);
      below = name;
    }
  }

  /** `full.qcow2` with all that a disk of this size can have, over `copy.raw`. */
  makeFull(): void {
    copyFileSync(this.at('base.raw'), this.at('copy.raw'));
    rmSync(this.at('new.qcow2'), { force: true });
    rmSync(this.at('full.qcow2'), { force: true });
    if (!existsSync(this.at('whole.qcow2'))) {
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', this.at('base.raw'), this.at('whole.qcow2'));
    }
    copyFileSync(this.at('whole.qcow2'), this.at('full.qcow2'));
    qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'copy.raw', '-F', 'raw', this.at('full.qcow2'));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function formatOf(name: string): DiskFormat {
  return name.endsWith('.qcow2') ? 'qcow2' : 'raw';
}

export function qemuImg(...words: string[]): string {
  return execFileSync('qemu-img', words, { encoding: 'utf8' });
}

function createOverlay(file: string, below: string): void {
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on', '-b', below, '-F', formatOf(below), file);
}
