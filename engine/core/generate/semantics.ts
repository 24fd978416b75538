// What each instruction does, as expressions over its operands. One line per instruction; the interpreter's loop is
// made from this. `a` and `b` are the integer sources, `i` the immediate (64 bits, sign-extended), `w` it in 32 bits;
// `d1 d2 d3` and `s1 s2 s3` the sources as binary64 and binary32, `rm` the rounding mode.

/** rd = expression of 64 bits. */
export const INTEGER: Readonly<Record<string, string>> = {
  lui: 'i',
  addi: 'a + i', slti: '<u64>(<i64>a < <i64>i)', sltiu: '<u64>(a < i)', xori: 'a ^ i', ori: 'a | i', andi: 'a & i',
  slli: 'a << i', srli: 'a >> i', srai: '<u64>(<i64>a >> <i64>i)',
  add: 'a + b', sub: 'a - b', sll: 'a << (b & 63)', slt: '<u64>(<i64>a < <i64>b)', sltu: '<u64>(a < b)', xor: 'a ^ b',
  srl: 'a >> (b & 63)', sra: '<u64>(<i64>a >> <i64>(b & 63))', or: 'a | b', and: 'a & b',

  mul: 'a * b', mulh: 'mulhs(a, b)', mulhsu: 'mulhsu(a, b)', mulhu: 'mulhu(a, b)',
  div: 'divideSigned(a, b)', divu: 'divideUnsigned(a, b)', rem: 'remainderSigned(a, b)', remu: 'remainderUnsigned(a, b)',

  'add.uw': '(a & 0xffffffff) + b', 'slli.uw': '(a & 0xffffffff) << i',
  sh1add: '(a << 1) + b', sh2add: '(a << 2) + b', sh3add: '(a << 3) + b',
  'sh1add.uw': '((a & 0xffffffff) << 1) + b', 'sh2add.uw': '((a & 0xffffffff) << 2) + b',
  'sh3add.uw': '((a & 0xffffffff) << 3) + b',

  andn: 'a & ~b', orn: 'a | ~b', xnor: '~(a ^ b)',
  clz: 'clz<u64>(a)', ctz: 'ctz<u64>(a)', cpop: 'popcnt<u64>(a)',
  clzw: '<u64>clz<u32>(<u32>a)', ctzw: '<u64>ctz<u32>(<u32>a)', cpopw: '<u64>popcnt<u32>(<u32>a)',
  max: '<i64>a > <i64>b ? a : b', maxu: 'a > b ? a : b', min: '<i64>a < <i64>b ? a : b', minu: 'a < b ? a : b',
  'sext.b': '<u64>(<i64>(<i8>a))', 'sext.h': '<u64>(<i64>(<i16>a))', 'zext.h': 'a & 0xffff',
  rol: 'rotl<u64>(a, b)', ror: 'rotr<u64>(a, b)', rori: 'rotr<u64>(a, i)', 'orc.b': 'orCombine(a)', rev8: 'bswap<u64>(a)',

  bclr: 'a & ~((<u64>1) << (b & 63))', bclri: 'a & ~((<u64>1) << i)', bext: '(a >> (b & 63)) & 1', bexti: '(a >> i) & 1',
  binv: 'a ^ ((<u64>1) << (b & 63))', binvi: 'a ^ ((<u64>1) << i)', bset: 'a | ((<u64>1) << (b & 63))',
  bseti: 'a | ((<u64>1) << i)',

  'czero.eqz': 'b == 0 ? 0 : a', 'czero.nez': 'b != 0 ? 0 : a',
};

/** rd = expression of 32 bits, sign-extended. */
export const WORD: Readonly<Record<string, string>> = {
  addiw: '<i32>a + w', slliw: '<i32>a << w', srliw: '<i32>(<u32>a >> w)', sraiw: '<i32>a >> w',
  addw: '<i32>a + <i32>b', subw: '<i32>a - <i32>b', sllw: '<i32>a << (<i32>b & 31)',
  srlw: '<i32>(<u32>a >> (<u32>b & 31))', sraw: '<i32>a >> (<i32>b & 31)',
  mulw: '<i32>a * <i32>b',
  // Done in 64 bits, where the one overflow of signed division cannot happen.
  divw: '<i32>divideSigned(<u64>(<i64>(<i32>a)), <u64>(<i64>(<i32>b)))',
  divuw: '<i32>divideUnsigned(<u64>(<u32>a), <u64>(<u32>b))',
  remw: '<i32>remainderSigned(<u64>(<i64>(<i32>a)), <u64>(<i64>(<i32>b)))',
  remuw: '<i32>remainderUnsigned(<u64>(<u32>a), <u64>(<u32>b))',
  rolw: 'rotl<i32>(<i32>a, <i32>b)', rorw: 'rotr<i32>(<i32>a, <i32>b)', roriw: 'rotr<i32>(<i32>a, w)',
};

/** Taken when; `b` is the second source. */
export const BRANCH: Readonly<Record<string, string>> = {
  beq: 'a == b', bne: 'a != b', blt: '<i64>a < <i64>b', bge: '<i64>a >= <i64>b', bltu: 'a < b', bgeu: 'a >= b',
};

/** Type in memory; how a loaded value reaches rd. */
export const LOAD: Readonly<Record<string, { type: string; into: 'signed' | 'unsigned' | 'single' | 'double' }>> = {
  lb: { type: 'i8', into: 'signed' }, lh: { type: 'i16', into: 'signed' }, lw: { type: 'i32', into: 'signed' },
  ld: { type: 'u64', into: 'unsigned' }, lbu: { type: 'u8', into: 'unsigned' }, lhu: { type: 'u16', into: 'unsigned' },
  lwu: { type: 'u32', into: 'unsigned' }, flw: { type: 'u32', into: 'single' }, fld: { type: 'u64', into: 'double' },
};

export const STORE: Readonly<Record<string, { type: string; from: 'integer' | 'float' }>> = {
  sb: { type: 'u8', from: 'integer' }, sh: { type: 'u16', from: 'integer' }, sw: { type: 'u32', from: 'integer' },
  sd: { type: 'u64', from: 'integer' }, fsw: { type: 'u32', from: 'float' }, fsd: { type: 'u64', from: 'float' },
};

type FloatResult = 'single' | 'double' | 'integer';
type FloatSemantics = Readonly<Record<string, { result: FloatResult; value: string }>>;

function floatFamily(s: 's' | 'd'): FloatSemantics {
  const [f, result, sign, magnitude] =
    s === 's'
      ? (['f32', 'single', '0x80000000', '0x7fffffff'] as const)
      : (['f64', 'double', '0x8000000000000000', '0x7fffffffffffffff'] as const);
  const [x, y, z] = [`${s}1`, `${s}2`, `${s}3`];
  const float = (value: string) => ({ result, value });
  const integer = (value: string) => ({ result: 'integer' as const, value });
  return {
    [`fadd.${s}`]: float(`${f}Add(${x}, ${y}, rm)`), [`fsub.${s}`]: float(`${f}Sub(${x}, ${y}, rm)`),
    [`fmul.${s}`]: float(`${f}Mul(${x}, ${y}, rm)`), [`fdiv.${s}`]: float(`${f}Div(${x}, ${y}, rm)`),
    [`fsqrt.${s}`]: float(`${f}Sqrt(${x}, rm)`),
    [`fmadd.${s}`]: float(`${f}MulAdd(${x}, ${y}, ${z}, rm)`),
    [`fmsub.${s}`]: float(`${f}MulAdd(${x}, ${y}, ${z} ^ ${sign}, rm)`),
    [`fnmsub.${s}`]: float(`${f}MulAdd(${x} ^ ${sign}, ${y}, ${z}, rm)`),
    [`fnmadd.${s}`]: float(`${f}MulAdd(${x} ^ ${sign}, ${y}, ${z} ^ ${sign}, rm)`),
    [`fsgnj.${s}`]: float(`(${x} & ${magnitude}) | (${y} & ${sign})`),
    [`fsgnjn.${s}`]: float(`(${x} & ${magnitude}) | (~${y} & ${sign})`),
    [`fsgnjx.${s}`]: float(`${x} ^ (${y} & ${sign})`),
    [`fmin.${s}`]: float(`${f}Min(${x}, ${y})`), [`fmax.${s}`]: float(`${f}Max(${x}, ${y})`),
    [`fcvt.w.${s}`]: integer(`${f}ToI32(${x}, rm)`), [`fcvt.wu.${s}`]: integer(`${f}ToU32(${x}, rm)`),
    [`fcvt.l.${s}`]: integer(`${f}ToI64(${x}, rm)`), [`fcvt.lu.${s}`]: integer(`${f}ToU64(${x}, rm)`),
    [`fcvt.${s}.w`]: float(`${f}FromI32(<i32>a, rm)`), [`fcvt.${s}.wu`]: float(`${f}FromU32(<u32>a, rm)`),
    [`fcvt.${s}.l`]: float(`${f}FromI64(<i64>a, rm)`), [`fcvt.${s}.lu`]: float(`${f}FromU64(a, rm)`),
    [`feq.${s}`]: integer(`${f}Eq(${x}, ${y})`), [`flt.${s}`]: integer(`${f}Lt(${x}, ${y})`),
    [`fle.${s}`]: integer(`${f}Le(${x}, ${y})`), [`fclass.${s}`]: integer(`${f}Class(${x})`),
  };
}

export const FLOAT: FloatSemantics = {
  ...floatFamily('s'),
  ...floatFamily('d'),
  'fcvt.s.d': { result: 'single', value: 'f64ToF32(d1, rm)' },
  'fcvt.d.s': { result: 'double', value: 'f32ToF64(s1)' },
  // Moves take the bits as they are, boxed or not.
  'fmv.x.w': { result: 'integer', value: '<i64>(<i32>d1)' },
  'fmv.w.x': { result: 'single', value: '<u32>a' },
  'fmv.x.d': { result: 'integer', value: 'd1' },
  'fmv.d.x': { result: 'double', value: 'a' },
};

const AMO_KINDS = ['swap', 'add', 'xor', 'and', 'or', 'min', 'max', 'minu', 'maxu'];

/** Calls that may leave an event behind, after which the loop is left. */
export const CALL: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    (['w', 'd'] as const).flatMap(suffix => {
      const size = suffix === 'w' ? 4 : 8;
      return [
        [`lr.${suffix}`, `loadReserved(a, ${size}, rdOffset(ip))`],
        [`sc.${suffix}`, `storeConditional(a, ${size}, b, rdOffset(ip))`],
        ...AMO_KINDS.map(kind => [
          `amo${kind}.${suffix}`,
          `atomicOperation(AMO_${kind.toUpperCase()}, a, ${size}, b, rdOffset(ip))`,
        ]),
      ];
    }),
  ),
  ecall: 'callEnvironment()',
  ebreak: 'breakpoint(page + <u64>((ip - records) >> 2))',
  wfi: 'waitForInterrupt(<u32>imm(ip))',
  'sfence.vma': 'fenceTranslations(<u32>imm(ip))',
  'fence.i': 'fenceInstructions()',
};
