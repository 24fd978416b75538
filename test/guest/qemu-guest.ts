// Boots the default guest under QEMU with the devices of our machine and talks to its console.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Guest } from '../../assets/guest/guest.ts';

export interface QemuDisk {
  readonly file: string;
  readonly readOnly?: boolean;
  /** raw if not given. */
  readonly format?: string;
}

export interface QemuOptions {
  readonly disks?: readonly QemuDisk[];
  /** Added to the guest's command line. */
  readonly append?: string;
  /** MiB; 256 unless said. */
  readonly memory?: number;
  /** A qcow2 image for `savevm`. */
  readonly snapshots?: string;
  /** Goes on from a file that `migrate` wrote. */
  readonly incoming?: string;
  /** Path of a socket for the monitor. */
  readonly monitor?: string;
}

/** What a terminal answers with the place of its cursor. */
export const CURSOR_QUESTION = '\x1b\\[6n';

/** The prompt of the console's shell, and the question for the cursor's place that busybox asks after each prompt. */
export const PROMPT = new RegExp(`root@afterimage:[^\\n]*# ${CURSOR_QUESTION}`);

/** A boot takes two to three seconds here; a busy machine may need a multiple. */
const PATIENCE = 40_000;

export class QemuGuest {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #output = '';
  /** Up to here the output has been matched. */
  #seen = 0;
  #changed: () => void = () => {};

  constructor(guest: Guest, options: QemuOptions = {}) {
    const disks = (options.disks ?? []).flatMap(({ file, readOnly, format = 'raw' }, index) => [
      ...['-drive', `file=${file},if=none,id=disk${index},format=${format},readonly=${readOnly ? 'on' : 'off'}`],
      ...['-device', `virtio-blk-device,drive=disk${index}`],
    ]);
    this.#child = spawn(
      'qemu-system-riscv64',
      [
        ...[
          '-M',
          'virt',
          '-m',
          String(options.memory ?? 256),
          '-bios',
          'default',
          '-display',
          'none',
          '-serial',
          'stdio',
        ],
        ...['-monitor', options.monitor === undefined ? 'none' : `unix:${options.monitor},server=on,wait=off`],
        ...['-no-reboot', '-global', 'virtio-mmio.force-legacy=false', '-device', 'virtio-rng-device'],
        ...['-kernel', guest.kernel, '-initrd', guest.initrd],
        ...['-append', `${guest.append} ${options.append ?? ''}`],
        ...(options.incoming === undefined ? [] : ['-incoming', `exec:cat '${options.incoming}'`]),
        ...disks,
        ...(options.snapshots === undefined
          ? []
          : [
              ...['-drive', `file=${options.snapshots},if=none,id=snapshots,format=qcow2`],
              ...['-device', 'virtio-blk-device,drive=snapshots'],
            ]),
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const collect = (text: string) => {
      this.#output += text;
      this.#changed();
    };
    this.#child.stdout!.setEncoding('latin1').on('data', collect);
    this.#child.stderr!.setEncoding('latin1').on('data', collect);
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', code => {
        resolve(code);
        this.#changed();
      });
    });
  }

  /** All that the console showed so far. */
  get output(): string {
    return this.#output;
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Waits until the console shows the expression after what was matched before; returns the match. */
  async expect(expression: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const match = expression.exec(this.#output.slice(this.#seen));
      if (match) {
        this.#seen += match.index + match[0].length;
        return match;
      }
      const left = deadline - Date.now();
      if (left <= 0 || this.#child.exitCode !== null) {
        throw new Error(`The console did not show ${expression}, but:\n${this.#output.slice(-3000)}`);
      }
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Runs a command at the prompt and returns what it printed. The command must fit the line, or its echo would wrap. */
  async run(command: string): Promise<string> {
    const start = this.#seen;
    this.type(`${command}\r`);
    await this.expect(PROMPT);
    const shown = this.#output.slice(start, this.#seen).replaceAll('\r', '');
    return shown.slice(shown.indexOf('\n') + 1, shown.lastIndexOf('root@afterimage:'));
  }

  /** Waits until the machine ends by itself; QEMU's exit status. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** As if the power went away. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}
