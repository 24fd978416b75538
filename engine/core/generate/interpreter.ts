// Writes the interpreter: one loop, one switch over record opcodes. Registers live in memory at constant addresses, TLB
// hits are inlined, everything else is a call into a slow path that may leave an event behind (assembly/hart.ts).
import { INSTRUCTIONS, type Instruction } from '../isa.ts';
import { constantName } from './names.ts';
import { BRANCH, CALL, FLOAT, INTEGER, LOAD, STORE, WORD } from './semantics.ts';

const HEAD = `// Generated from engine/core/generate.
import { FAR_RECORD, divideSigned, divideUnsigned, loadDiscarded, mulhs, mulhsu, mulhu, orCombine, remainderSigned, remainderUnsigned } from '../../assembly/arithmetic';
import { AMO_ADD, AMO_AND, AMO_MAX, AMO_MAXU, AMO_MIN, AMO_MINU, AMO_OR, AMO_SWAP, AMO_XOR, atomicOperation, loadReserved, storeConditional } from '../../assembly/atomic';
import { decodeRecord } from '../../assembly/code';
import { f32Add, f32Class, f32Div, f32Eq, f32FromI32, f32FromI64, f32FromU32, f32FromU64, f32Le, f32Lt, f32Max, f32Min, f32Mul, f32MulAdd, f32Sqrt, f32Sub, f32ToF64, f32ToI32, f32ToI64, f32ToU32, f32ToU64, f64Add, f64Class, f64Div, f64Eq, f64FromI32, f64FromI64, f64FromU32, f64FromU64, f64Le, f64Lt, f64Max, f64Min, f64Mul, f64MulAdd, f64Sqrt, f64Sub, f64ToF32, f64ToI32, f64ToI64, f64ToU32, f64ToU64 } from '../../assembly/float/index';
import { EVENT_TRAP, dataContext, event, fetchContext } from '../../assembly/hart';
import { F, INSTRET, PAGE_RECORDS, PC, TLB, TLB_CONTEXT_SIZE, TLB_FETCH, TLB_STORE } from '../../assembly/layout';
import { loadSlow, storeSlow } from '../../assembly/mmu';
import { d1, d2, d3, entryOf, floatReady, imm, imm64, leaveLoop, raiseIllegal, rdOffset, rounding, rs1, rs2, s1, s2, s3, setD, setRd, setRdUnlessZero, setS, setWord, source } from '../../assembly/operands';
import { breakpoint, callEnvironment, controlRegister, fenceInstructions, fenceTranslations, machineReturn, supervisorReturn, waitForInterrupt } from '../../assembly/system';
import * as op from './opcodes';

/** The loop stopped at an instruction that reaches into a page whose code is not cached yet. */
export let crossing: bool = false;

export function clearCrossing(): void {
  crossing = false;
}

/**
 * Runs up to \`budget\` instructions from the record at \`ip\`, whose page has its records at \`records\` and begins at the
 * virtual address \`page\`. Returns with PC and INSTRET stored when the budget is used up, an event is set, or the next
 * page is not in the fetch TLB.
 */
export function interpret(budget: i32, startIp: u32, startRecords: u32, startPage: u64): void {
  let ip = startIp;
  let records = startRecords;
  let page = startPage;
  let remaining = budget;
  let target: u64 = 0;
  const instret = load<u64>(INSTRET) + <u64>budget;
  const data = TLB + dataContext() * TLB_CONTEXT_SIZE;
  const fetch = TLB + fetchContext() * TLB_CONTEXT_SIZE + TLB_FETCH;
  for (;;) {
    if (remaining == 0) {
      store<u64>(PC, ip == FAR_RECORD ? target : page + <u64>((ip - records) >> 2));
      store<u64>(INSTRET, instret);
      return;
    }
    remaining--;
    switch (<i32>load<u8>(ip)) {
      case op.OP_UNDECODED:
        remaining++;
        decodeRecord(records, ip);
        continue;
      case op.OP_PAGE_END:
        target = page + <u64>((ip - records) >> 2);
      case op.OP_FAR: {
        remaining++;
        const entry = entryOf(target, fetch);
        page = target & ~0xfff;
        if (load<u64>(entry) != page) {
          store<u64>(PC, target);
          store<u64>(INSTRET, instret - <u64>remaining);
          return;
        }
        records = load<u32>(entry, 8);
        ip = records + ((<u32>target & 0xffe) << 2);
        continue;
      }
      case op.OP_CROSSING:
        crossing = true;
        store<u64>(PC, page + <u64>((ip - records) >> 2));
        store<u64>(INSTRET, instret - <u64>(remaining + 1));
        return;
      case op.OP_NOP:
        break;
      case op.OP_LI:
        setRd(ip, imm64(ip));
        break;
      case op.OP_MV:
        setRd(ip, rs1(ip));
        break;
      case op.OP_J: {
        JUMP
      }
      case op.OP_JR: {
        target = (rs1(ip) + imm64(ip)) & ~1;
        INDIRECT
      }
      case op.OP_LOAD_DISCARDED:
        loadDiscarded(rs1(ip), <u32>imm(ip));
        CHECK
        break;
`;

const TAIL = `
      default: {
        raiseIllegal(ip, records);
        LEAVE
      }
    }
    ip += <u32>load<u8>(ip, 1);
  }
}
`;

/** Shorthands of the templates. All jumps within the page stay in the loop; others go through the FAR record. */
const FRAGMENTS: Readonly<Record<string, string>> = {
  JUMP: `const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;`,
  INDIRECT: `if ((target ^ page) < 4096) ip = records + ((<u32>target & 0xffe) << 2);
        else ip = FAR_RECORD;
        continue;`,
  LINK: 'setRd(ip, page + <u64>((ip - records + <u32>load<u8>(ip, 1)) >> 2));',
  LEAVE: `leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
        return;`,
  CHECK: `if (event) {
          LEAVE
        }`,
  FLOAT_ON: `if (!floatReady()) {
          raiseIllegal(ip, records);
          LEAVE
        }`,
};

function complete(text: string): string {
  const filled = text.replaceAll(/\b(JUMP|INDIRECT|LINK|CHECK|FLOAT_ON)\b/g, name => FRAGMENTS[name]!);
  return filled.replaceAll(/\bLEAVE\b/g, FRAGMENTS.LEAVE!);
}

/** The operands' letters of semantics.ts as accessors; `b` of a branch stands where others have rd. */
function operands(expression: string, second = 'rs2(ip)'): string {
  const meaning: Readonly<Record<string, string>> = { a: 'rs1(ip)', b: second, i: 'imm64(ip)', w: 'imm(ip)' };
  const named = expression.replaceAll(/(?<![\w.])([abiw])(?![\w(])/g, (_, letter: string) => meaning[letter]!);
  return named.replaceAll(/\b([ds][123])\b(?!\()/g, '$1(ip)');
}

const SETTERS: Readonly<Record<'signed' | 'unsigned' | 'single' | 'double' | 'integer', (value: string) => string>> = {
  signed: value => `setRd(ip, <u64>(<i64>${value}));`,
  unsigned: value => `setRd(ip, <u64>${value});`,
  single: value => `setS(ip, ${value});`,
  double: value => `setD(ip, ${value});`,
  integer: value => `setRdUnlessZero(ip, <u64>(${value}));`,
};

/** A tag compares equal only for an aligned access to a page that the entry allows. */
const tagOf = (type: string) => `(va & ~(0xfff & ~<u64>(sizeof<${type}>() - 1)))`;

function loadBody({ type, into }: (typeof LOAD)[string]): string {
  const set = SETTERS[into];
  return `${into === 'single' || into === 'double' ? 'FLOAT_ON' : ''}
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == ${tagOf(type)}) {
          ${set(`load<${type}>(<u32>va + load<u32>(entry, 8))`)}
        } else {
          const value = loadSlow(va, sizeof<${type}>());
          if (event != EVENT_TRAP) { ${set(`<${type}>value`)} }
          CHECK
        }
        break;`;
}

function storeBody({ type, from }: (typeof STORE)[string]): string {
  const value = from === 'float' ? 'load<u64>(rdOffset(ip), F)' : 'source(ip)';
  return `${from === 'float' ? 'FLOAT_ON' : ''}
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == ${tagOf(type)}) {
          store<${type}>(<u32>va + load<u32>(entry, TLB_STORE + 8), <${type}>${value});
        } else {
          storeSlow(va, sizeof<${type}>(), ${value});
          CHECK
        }
        break;`;
}

function floatBody(one: Instruction, { result, value }: (typeof FLOAT)[string]): string {
  const refuse = '{ raiseIllegal(ip, records); LEAVE }';
  const check = one.rounding
    ? `const rm = rounding(ip); if (!floatReady() || rm > 4) ${refuse}`
    : `if (!floatReady()) ${refuse}`;
  return `${check}
        ${SETTERS[result](operands(value))}
        break;`;
}

/** The body of an instruction's case. Throws when semantics.ts does not know it, so that none can be forgotten. */
function body(one: Instruction): string {
  const { name } = one;
  if (INTEGER[name]) return `setRd(ip, ${operands(INTEGER[name])}); break;`;
  if (WORD[name]) return `setWord(ip, ${operands(WORD[name])}); break;`;
  if (BRANCH[name]) return `if (!(${operands(BRANCH[name], 'source(ip)')})) break; JUMP`;
  if (LOAD[name]) return loadBody(LOAD[name]);
  if (STORE[name]) return storeBody(STORE[name]);
  if (FLOAT[name]) return floatBody(one, FLOAT[name]);
  if (CALL[name]) return `${operands(CALL[name])}; CHECK break;`;
  if (one.format === 'csr' || one.format === 'csri')
    return 'store<u64>(INSTRET, instret - <u64>(remaining + 1)); controlRegister(<u32>imm(ip)); CHECK break;';
  switch (name) {
    case 'auipc':
      return 'setRd(ip, page + <u64>((ip - records) >> 2) + imm64(ip)); break;';
    case 'jal':
      return 'LINK JUMP';
    case 'jalr':
      return 'target = (rs1(ip) + imm64(ip)) & ~1; LINK INDIRECT';
    case 'fence':
      // Decoded into NOP: one hart, and devices act between instructions.
      return 'break;';
    case 'mret':
    case 'sret':
      return `if (${name === 'mret' ? 'machineReturn' : 'supervisorReturn'}()) {
          store<u64>(INSTRET, instret - <u64>remaining);
          return;
        }
        raiseIllegal(ip, records);
        LEAVE`;
    default:
      throw new Error(`engine/core/generate/semantics.ts does not say what ${name} does`);
  }
}

/** The source of the interpreter. */
export function generateInterpreter(): string {
  const cases = INSTRUCTIONS.map(one => `      case op.OP_${constantName(one.name)}: {\n        ${body(one)}\n      }`);
  return complete(`${HEAD}${cases.join('\n')}${TAIL}`);
}
