// Names of the processors that executables are for, so that an error can say what a file is.

const ELF_MACHINES: Readonly<Record<number, string>> = {
  2: 'SPARC',
  3: '32-bit x86',
  4: 'Motorola 68000',
  8: 'MIPS',
  20: '32-bit PowerPC',
  21: '64-bit PowerPC',
  22: 'IBM Z',
  40: '32-bit ARM',
  42: 'SuperH',
  43: '64-bit SPARC',
  50: 'Itanium',
  62: 'x86-64',
  94: 'Xtensa',
  183: '64-bit ARM',
  189: 'MicroBlaze',
  243: 'RISC-V',
  247: 'BPF',
  258: 'LoongArch',
};

const PE_MACHINES: Readonly<Record<number, string>> = {
  332: '32-bit x86',
  448: '32-bit ARM',
  450: '32-bit ARM',
  452: '32-bit ARM',
  512: 'Itanium',
  3772: 'EFI byte code',
  20530: '32-bit RISC-V',
  20580: '64-bit RISC-V',
  20776: '128-bit RISC-V',
  25138: '32-bit LoongArch',
  25188: '64-bit LoongArch',
  34404: 'x86-64',
  43620: '64-bit ARM',
};

export const ELF_MACHINE_RISCV = 243;
export const PE_MACHINE_RISCV64 = 20580;

/** The processor of an ELF file by its `e_machine`. */
export function elfMachineName(machine: number): string {
  return ELF_MACHINES[machine] ?? `unknown processor ${machine}`;
}

/** The processor of a PE file by its COFF header's Machine. */
export function peMachineName(machine: number): string {
  return PE_MACHINES[machine] ?? `unknown processor ${machine}`;
}
