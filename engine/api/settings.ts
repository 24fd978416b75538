// What a machine is made of, as plain data. Paths are absolute or relative to the engine process's working directory;
// the engine process opens them, never the parent, because their contents are not to be trusted.

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** How much RAM a machine can have, in bytes. */
export const MEMORY_LIMITS = {
  /** Enough for a bare-metal program and the device tree; what a kernel needs more, its loader says. */
  smallest: 8 * MIB,
  /** For the default guest: with less its kernel cannot unpack the initial RAM disk, and panics (88 MiB do, 92 do not). */
  guest: 96 * MIB,
  /** RAM and the reserve for copies share the 4 GiB that one WebAssembly memory can address. */
  largest: 3 * GIB,
  /** RAM is a whole number of these, so that sizes in messages are exact. */
  step: MIB,
  usual: 512 * MIB,
} as const;

/** The `virt` machine has eight virtio-mmio slots; console and random numbers take two. */
export const MOST_DISKS = 6;

/** Longest kernel command line that Linux takes for RISC-V, without its final zero byte. */
export const LONGEST_APPEND = 1023;

export interface DiskSettings {
  readonly path: string;
  /** Raw unless said. Never guessed from the content, which the guest may have written. */
  readonly format?: 'raw' | 'qcow2';
  /** The guest cannot write to it; others may read it meanwhile. */
  readonly readonly: boolean;
  /** The guest can write, its writes are kept in memory and dropped at the end; the file is only read. */
  readonly temporary: boolean;
}

/** What runs first. Either `elf` alone, or `kernel` and `firmware` as they combine. */
export interface BootSettings {
  readonly kernel?: string;
  readonly initrd?: string;
  /** Kernel command line. */
  readonly append?: string;
  /** M-mode firmware; without it the built-in SBI starts the kernel. */
  readonly firmware?: string;
  /** Bare-metal ELF64, started in M-mode, HTIF honoured. */
  readonly elf?: string;
}

export type SignatureGranularity = 4 | 8 | 16;

/** Where to write the words between `begin_signature` and `end_signature` of an ELF when it has ended. */
export interface SignatureSettings {
  readonly path: string;
  readonly granularity: SignatureGranularity;
}

export interface ConsoleSize {
  readonly rows: number;
  readonly columns: number;
}

export interface MachineSettings {
  /** Bytes of RAM, within MEMORY_LIMITS. */
  readonly memory: number;
  readonly boot: BootSettings;
  readonly disks: readonly DiskSettings[];
  /** The size of the window at the console, when there is one. */
  readonly consoleSize?: ConsoleSize;
  /** The run ends after this many instructions. */
  readonly maxInstructions?: number;
  /** File for the commit log. */
  readonly trace?: string;
  readonly signature?: SignatureSettings;
}
