// Code that changes: unprivileged specification, chapter on Zifencei. Old instructions may be executed until FENCE.I, so
// these programs only look at what comes after one.
import { encode, encodeCompressed } from '../framework/encode.ts';
import { PTE, SV39 } from '../framework/page-tables.ts';
import type { Scenario } from './scenario.ts';
import { Suite } from './suite.ts';

const { V, R, W, X, U, A, D } = PTE;
const ALL = V | R | W | X | A | D;
const VA = 0x1000000000n;
const PAGE = 4096n;

const suite = new Suite();

/** `addi a0, a0, n`. */
const add = (n: number) => encode('addi', { rd: 10, rs1: 10, imm: n });
const RETURN = encode('jalr', { rs1: 1 });

/** A routine that adds `n` to a0 and returns. */
function routine(s: Scenario, at: number, n: number): void {
  s.put(at, BigInt(add(n)) | (BigInt(RETURN) << 32n));
}

/** Text that calls an address. */
const callTo = (at: number | bigint) => `li t0, ${at}\njalr ra, 0(t0)\n`;
/** Text that stores a word. */
const storeWord = (at: number | bigint, bits: number) => `li t1, ${at}\nli t2, ${bits}\nsw t2, 0(t1)\n`;

suite.add('written, run, rewritten and run', s => {
  const at = s.pages(1);
  routine(s, at, 1);
  s.text(`li a0, 0\n${callTo(at)}`).expect('at first', 'a0', 1n);
  s.text(`${storeWord(at, add(10))}fence.i\n${callTo(at)}`).expect('rewritten', 'a0', 11n);
  s.text(`${storeWord(at, add(100))}fence.i\n${callTo(at)}${callTo(at)}`).expect('again', 'a0', 211n);
  s.text(`${storeWord(at, add(1))}${storeWord(at, add(1000))}fence.i\n${callTo(at)}`).expect(
    'twice written',
    'a0',
    1211n,
  );
});

suite.add('by stores of every kind', s => {
  const at = s.pages(1);
  const word = BigInt(RETURN) << 32n;
  s.put(at, word | BigInt(add(0))).text(`li a0, 0\nli a1, ${at}\nli s2, 0`);
  let sum = 0;
  const ways: [string, string][] = [
    ['SD', 'sd t2, 0(a1)'],
    ['SW', 'sw t2, 0(a1)'],
    ['SH', 'srli t2, t2, 16\nsh t2, 2(a1)'],
    ['SB', 'srli t2, t2, 24\nsb t2, 3(a1)'],
    ['FSD', 'fmv.d.x f1, t2\nfsd f1, 0(a1)'],
    ['FSW', 'fmv.w.x f1, t2\nfsw f1, 0(a1)'],
    ['AMOSWAP', 'amoswap.d zero, t2, (a1)'],
    ['AMOOR', 'amoand.w zero, zero, (a1)\namoor.w zero, t2, (a1)'],
    ['SC', 'lr.d zero, (a1)\nsc.d zero, t2, (a1)'],
    ['a store that is not aligned', 'srli t2, t2, 8\nsw t2, 1(a1)'],
    ['C.SD', 'mv s1, t2\nc.sd a1, s1, 0'],
  ];
  for (const [index, [what, code]] of ways.entries()) {
    // The immediate is in the upper 12 bits, so a store of the top byte changes it by 16.
    const n = 16 * (index + 1);
    sum += n;
    s.text(`li t2, ${word | BigInt(add(n))}\n${code}\nfence.i\n${callTo(at)}`).expect(what, 'a0', BigInt(sum));
  }
});

suite.add('through another address', s => {
  const tables = s.tables(SV39);
  const frame = s.pages(1);
  routine(s, frame, 1);
  tables.map(VA, frame, ALL).map(VA + PAGE, frame, V | R | W | A | D);
  s.useTables(tables).text('li a0, 0');
  s.attempt('S', callTo(VA)).expect('at first', 'a0', 1n);
  s.attempt('S', `${storeWord(VA + PAGE, add(10))}fence.i\n${callTo(VA)}`).expect('through the alias', 'a0', 11n);
  s.attempt('S', `${storeWord(VA, add(100))}fence.i\n${callTo(VA)}`).expect('through its own', 'a0', 111n);
  s.attempt('S', `${storeWord(VA + PAGE, add(1000))}fence.i\n${callTo(VA)}`).expect('and the alias again', 'a0', 1111n);
  s.text(`${storeWord(frame, add(5))}fence.i`)
    .attempt('S', callTo(VA))
    .expect('from M-mode', 'a0', 1116n);
  s.text(`${storeWord(frame, add(6))}`)
    .attempt('S', `fence.i\n${callTo(VA)}`)
    .expect('fence in the other mode', 'a0', 1122n);
});

suite.add('two addresses of one frame run the same code', s => {
  const tables = s.tables(SV39);
  const frame = s.pages(1);
  // Where am I? auipc a0, 0; ret.
  s.put(frame, BigInt(encode('auipc', { rd: 10 })) | (BigInt(RETURN) << 32n));
  tables
    .map(VA, frame, ALL)
    .map(VA + 5n * PAGE, frame, ALL)
    .map(VA + 7n * PAGE, frame, ALL | U);
  s.useTables(tables);
  for (const round of [1, 2]) {
    s.attempt('S', `${callTo(VA)}mv s2, a0\n${callTo(VA + 5n * PAGE)}mv s3, a0`);
    s.expect(`first, round ${round}`, 's2', VA).expect(`second, round ${round}`, 's3', VA + 5n * PAGE);
    s.attempt('U', `${callTo(VA + 7n * PAGE)}mv s4, a0`).expect(`the user's, round ${round}`, 's4', VA + 7n * PAGE);
  }
});

suite.add('code and data in one page', s => {
  const at = s.pages(1);
  // A routine that adds to a counter in its own page and returns its value.
  s.putCode(at, 'auipc t0, 0\nld a0, 512(t0)\naddi a0, a0, 1\nsd a0, 512(t0)\nret');
  const loop = s.fresh('loop');
  s.text(`li s2, 1000\n${loop}: ${callTo(at)}addi s2, s2, -1\nbnez s2, ${loop}`);
  s.expect('count', 'a0', 1000n).expectMemory('memory', at + 512, 1000n);
  const fenced = s.fresh('fenced');
  s.text(`li s2, 1000\n${fenced}: fence.i\n${callTo(at)}addi s2, s2, -1\nbnez s2, ${fenced}`);
  s.expect('with fences', 'a0', 2000n).expectMemory('memory', at + 512, 2000n);
  s.text(`${storeWord(at + 8, add(2))}fence.i\n${callTo(at)}`).expect('and changed code', 'a0', 2002n);
});

suite.add('code that changes what follows it', s => {
  const patched = s.fresh('patched');
  s.text('li a0, 0');
  for (const n of [1, 2, 3]) {
    const at = s.fresh('at');
    s.text(`la t1, ${at}\nli t2, ${add(n)}\nsw t2, 0(t1)\nfence.i\n${at}: .word 0xffffffff`);
  }
  s.expect('three patches', 'a0', 6n);
  const loop = s.fresh('loop');
  // Each time round the immediate of the instruction grows by one.
  s.text(
    `li a0, 0\nli s2, 200\nli s3, ${1 << 20}\nla t1, ${patched}\n${loop}: lw t2, 0(t1)\nadd t2, t2, s3\nsw t2, 0(t1)\nfence.i`,
  );
  s.text(`${patched}: addi a0, a0, 0\naddi s2, s2, -1\nbnez s2, ${loop}`).expect('a sum to 200', 'a0', 20100n);
});

suite.add('an instruction across two pages whose second half changes', s => {
  const at = s.pages(3);
  const first = at + 4094;
  const write = (bits: number) =>
    s.put(first - 6, BigInt(bits & 0xffff) << 48n).put(first + 2, BigInt(bits >>> 16) | (BigInt(RETURN) << 16n));
  write(add(1));
  s.text(`li a0, 0\n${callTo(first)}`).expect('at first', 'a0', 1n);
  const half = (bits: number) => `li t1, ${first + 2}\nli t2, ${bits >>> 16}\nsh t2, 0(t1)\nfence.i\n`;
  s.text(`${half(add(10))}${callTo(first)}`).expect('second half', 'a0', 11n);
  s.text(`${half(add(100))}${callTo(first)}${callTo(first)}`).expect('second half again', 'a0', 211n);
  const wider = `li t1, ${first}\nli t2, ${encode('addi', { rd: 10, rs1: 10, imm: 7 })}\nsw t2, 0(t1)\nfence.i\n`;
  s.text(`${wider}${callTo(first)}`).expect('both by one store', 'a0', 218n);
});

suite.add('a jump across two pages, the second of which is nothing but its second half', s => {
  const at = s.pages(2);
  const first = at + 4094;
  // Two targets before the jump; nothing behind it is ever executed.
  s.putCode(at, `addi a0, a0, 1\nret`).putCode(at + 64, `addi a0, a0, 16\nret`);
  const jump = (to: number) => encode('jal', { imm: to - first });
  s.put(first - 6, BigInt(jump(at) & 0xffff) << 48n).put(first + 2, BigInt(jump(at) >>> 16));
  s.text(`li a0, 0\n${callTo(first)}${callTo(first)}`).expect('at first', 'a0', 2n);
  const half = (bits: number) => `li t1, ${first + 2}\nli t2, ${bits >>> 16}\nsh t2, 0(t1)\nfence.i\n`;
  // The immediate of JAL has its low bits in the upper half of the encoding.
  s.text(`${half(jump(at + 64))}${callTo(first)}`).expect('changed', 'a0', 18n);
  s.text(`${half(jump(at))}${callTo(first)}`).expect('and back', 'a0', 19n);
  s.text(`${half(jump(at + 64))}${half(jump(at))}${half(jump(at + 64))}${callTo(first)}`).expect('thrice', 'a0', 35n);
});

suite.add('an instruction across two pages that are far apart', s => {
  const tables = s.tables(SV39);
  const frames = s.pages(3);
  tables
    .map(VA, frames + 8192, ALL)
    .map(VA + PAGE, frames, ALL)
    .map(VA + 3n * PAGE, frames, V | R | W | A | D);
  s.put(frames + 8192 + 4088, BigInt(add(1) & 0xffff) << 48n).put(
    frames,
    BigInt(add(1) >>> 16) | (BigInt(RETURN) << 16n),
  );
  s.useTables(tables)
    .text('li a0, 0')
    .attempt('S', callTo(VA + 4094n))
    .expect('at first', 'a0', 1n);
  for (const [round, n] of [10, 100, 1000].entries()) {
    s.attempt('S', `li t1, ${VA + 3n * PAGE}\nli t2, ${add(n) >>> 16}\nsh t2, 0(t1)\nfence.i\n${callTo(VA + 4094n)}`);
    s.expect(`round ${round}`, 'a0', [11n, 111n, 1111n][round]!);
  }
});

suite.add('a store across two pages of code', s => {
  const at = s.pages(2);
  // c.addi a0, 1 as the last of one page and the first of the next, then a return.
  const count = encodeCompressed('c.addi', { rd: 10, rs1: 10, imm: 1 });
  s.put(at + 4088, BigInt(count) << 48n).put(at + 4096, BigInt(count) | (BigInt(RETURN) << 16n));
  s.text(`li a0, 0\n${callTo(at + 4094)}`).expect('at first', 'a0', 2n);
  const two = encodeCompressed('c.addi', { rd: 10, rs1: 10, imm: 9 });
  s.text(`li t1, ${at + 4094}\nli t2, ${two | (two << 16)}\nsw t2, 0(t1)\nfence.i\n${callTo(at + 4094)}`);
  s.expect('both changed', 'a0', 20n);
});

suite.add('instructions of other lengths and at other places', s => {
  const at = s.pages(1);
  const two = encodeCompressed('c.addi', { rd: 10, rs1: 10, imm: 2 });
  s.put(at, BigInt(two) | (BigInt(two) << 16n) | (BigInt(RETURN) << 32n));
  s.text(`li a0, 0\n${callTo(at)}`).expect('two short ones', 'a0', 4n);
  s.text(`${storeWord(at, add(50))}fence.i\n${callTo(at)}`).expect('one long one', 'a0', 54n);
  // Into the middle of the long one, whose upper half is a short instruction by itself: c.addi4spn or whatever it is.
  const inner = encodeCompressed('c.addi', { rd: 10, rs1: 10, imm: 3 });
  s.text(`li t1, ${at + 2}\nli t2, ${inner}\nsh t2, 0(t1)\nfence.i\n${callTo(at + 2)}`).expect('its middle', 'a0', 57n);
  s.text(`${storeWord(at, two | (two << 16))}fence.i\n${callTo(at)}${callTo(at + 2)}`).expect(
    'short ones again',
    'a0',
    63n,
  );
});

suite.add('a mapping that moves to other code', s => {
  const tables = s.tables(SV39);
  const frames = s.pages(2);
  routine(s, frames, 1);
  routine(s, frames + 4096, 10);
  tables.map(VA, frames, ALL);
  s.useTables(tables).text('li a0, 0');
  const leaf = (frame: number) =>
    `li t1, ${tables.entryAddress(VA)}\nli t2, ${(BigInt(frame / 4096) << 10n) | BigInt(ALL)}\nsd t2, 0(t1)\nli t3, ${VA}\nsfence.vma t3, zero\n`;
  s.attempt('S', callTo(VA)).expect('at first', 'a0', 1n);
  // The tables are mapped where they are.
  s.text(leaf(frames + 4096))
    .attempt('S', callTo(VA))
    .expect('moved', 'a0', 11n);
  s.text(leaf(frames)).attempt('S', callTo(VA)).expect('back', 'a0', 12n);
  s.text(leaf(frames + 4096))
    .text(`${storeWord(frames + 4096, add(100))}fence.i`)
    .attempt('S', callTo(VA))
    .expect('moved and changed', 'a0', 112n);
});

suite.add('more pages of code than are kept decoded', s => {
  const pages = 2500;
  const at = s.pages(pages);
  for (let page = 0; page < pages; page++) routine(s, at + page * 4096, 1);
  const round = () => {
    const loop = s.fresh('loop');
    s.text(
      `li a0, 0\nli s2, ${at}\nli s3, ${at + pages * 4096}\nli s4, 4096\n${loop}: jalr ra, 0(s2)\nadd s2, s2, s4\nbltu s2, s3, ${loop}`,
    );
  };
  round();
  s.expect('all run', 'a0', BigInt(pages));
  // Every second one is rewritten.
  const write = s.fresh('write');
  s.text(
    `li s2, ${at}\nli s4, 8192\nli t2, ${add(3)}\n${write}: sw t2, 0(s2)\nadd s2, s2, s4\nbltu s2, s3, ${write}\nfence.i`,
  );
  round();
  s.expect('all run again', 'a0', BigInt(pages * 2));
  // Rewritten one after the other, each run at once.
  const each = s.fresh('each');
  s.text(
    `li a0, 0\nli s2, ${at}\nli s4, 4096\nli t2, ${add(2)}\n${each}: sw t2, 0(s2)\nfence.i\njalr ra, 0(s2)\nadd s2, s2, s4\nbltu s2, s3, ${each}`,
  );
  s.expect('each in turn', 'a0', BigInt(pages * 2));
  round();
  s.expect('and all at the end', 'a0', BigInt(pages * 2));
});

suite.add('jumps at the ends of pages', s => {
  const at = s.pages(4);
  // The last instruction of a page, long and short; falling into the next page; far forward and back.
  s.putCode(at + 4092, 'addi a0, a0, 1\naddi a0, a0, 2\nret');
  s.putCode(at + 2 * 4096 - 2, 'c.addi a0, 4\naddi a0, a0, 8\nret');
  s.putCode(at + 3 * 4096 - 4, `jal zero, ${-(3 * 4096 - 4)}`).putCode(at, `addi a0, a0, 16\nret`);
  s.text(`li a0, 0\n${callTo(at + 4092)}`).expect('long', 'a0', 3n);
  s.text(callTo(at + 2 * 4096 - 2)).expect('short', 'a0', 15n);
  s.text(callTo(at + 3 * 4096 - 4)).expect('far', 'a0', 31n);
  s.text(callTo(at + 1)).expect('JALR clears the lowest bit', 'a0', 47n);
});

suite.add('FENCE.I with nothing to do', s => {
  s.text('li a0, 3\nfence.i\nfence.i\nfence\naddi a0, a0, 1').expect('goes on', 'a0', 4n);
  s.attempt('U', 'fence.i\nfence').expectDone('in U-mode', 'U');
});

suite.define('Code that changes');
