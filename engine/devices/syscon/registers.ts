// SiFive test finisher (`sifive,test0`): one register at offset 0, command in the low 16 bits, code in the high ones.

export const FAIL = 0x3333;
export const PASS = 0x5555;
export const RESET = 0x7777;
