import { decode } from './encode.ts';
import { csrName, F_NAMES, ROUNDING_NAMES, X_NAMES } from './registers.ts';

/** One instruction as text; compressed ones with the operands of what they stand for. `pc` makes targets absolute. */
export function disassemble(bits: number, pc?: bigint): string {
  const decoded = decode(bits);
  if (!decoded) {
    return (bits & 3) === 3 ? `.word 0x${(bits >>> 0).toString(16)}` : `.half 0x${(bits & 0xffff).toString(16)}`;
  }
  const { instruction, name, operands } = decoded;
  const register = (file: 'x' | 'f', number: number) => (file === 'x' ? X_NAMES : F_NAMES)[number] ?? `?${number}`;
  const rd = register(instruction.files.rd, operands.rd);
  const rs1 = register(instruction.files.rs1, operands.rs1);
  const rs2 = register(instruction.files.rs2, operands.rs2);
  const rm = instruction.rounding ? `, ${ROUNDING_NAMES[operands.rm]}` : '';
  const target =
    pc === undefined ? `. + ${operands.imm}` : `0x${BigInt.asUintN(64, pc + BigInt(operands.imm)).toString(16)}`;
  switch (instruction.format) {
    case 'r':
      return `${name} ${rd}, ${rs1}, ${rs2}${rm}`;
    case 'r4':
      return `${name} ${rd}, ${rs1}, ${rs2}, ${register('f', operands.rs3)}${rm}`;
    case 'i':
    case 'shift6':
    case 'shift5':
      return `${name} ${rd}, ${rs1}, ${operands.imm}`;
    case 'load':
    case 'jalr':
      return `${name} ${rd}, ${operands.imm}(${rs1})`;
    case 'store':
      return `${name} ${rs2}, ${operands.imm}(${rs1})`;
    case 'branch':
      return `${name} ${rs1}, ${rs2}, ${target}`;
    case 'u':
      return `${name} ${rd}, 0x${(operands.imm >>> 0).toString(16)}`;
    case 'jal':
      return `${name} ${rd}, ${target}`;
    case 'unary':
      return `${name} ${rd}, ${rs1}${rm}`;
    case 'amo': {
      const order = `${operands.aq ? '.aq' : ''}${operands.rl ? '.rl' : ''}`;
      return name.startsWith('lr.') ? `${name}${order} ${rd}, (${rs1})` : `${name}${order} ${rd}, ${rs2}, (${rs1})`;
    }
    case 'csr':
      return `${name} ${rd}, ${csrName(operands.csr)}, ${rs1}`;
    case 'csri':
      return `${name} ${rd}, ${csrName(operands.csr)}, ${operands.imm}`;
    case 'sfence':
      return `${name} ${rs1}, ${rs2}`;
    case 'fence':
    case 'none':
      return name;
  }
}
