// Physical memory protection: privileged specification 3.7.
import { PTE, SV39 } from '../framework/page-tables.ts';
import type { Mode, Scenario } from './scenario.ts';
import { Suite } from './suite.ts';

const R = 1;
const W = 2;
const X = 4;
const TOR = 1 << 3;
const NA4 = 2 << 3;
const NAPOT = 3 << 3;
const LOCK = 0x80;
const MPRV = 1n << 17n;

/** The value of pmpaddr for a naturally aligned power of two. */
const napot = (address: number, size: number) => BigInt(address / 4) | (BigInt(size / 8) - 1n);
const granule = (address: number) => BigInt(address / 4);
const EVERYTHING = (1n << 54n) - 1n;

interface Entry {
  readonly config: number;
  readonly address: bigint;
}

/** Writes the entries from 0 on, and behind them one that opens all that they do not match, unless it is left out. */
function protect(s: Scenario, entries: readonly Entry[], rest = true): void {
  const all = rest ? [...entries, { config: NAPOT | R | W | X, address: EVERYTHING }] : [...entries];
  while (all.length < 8) all.push({ config: 0, address: 0n });
  // Addresses of entries that are in use may be written one by one: M-mode is not subject to them.
  for (const [index, { address }] of all.entries()) s.write(`pmpaddr${index}`, address);
  let configs = 0n;
  for (const [index, { config }] of all.entries()) configs |= BigInt(config) << BigInt(8 * index);
  s.write('pmpcfg0', configs).text('sfence.vma');
}

type Access = 'load' | 'store' | 'fetch';
const FAULTS = { load: 5, store: 7, fetch: 1 } as const;

function access(
  s: Scenario,
  what: string,
  kind: Access,
  mode: Mode,
  at: number,
  allowed: boolean,
  size: 1 | 4 | 8 = 4,
): void {
  const letter = { 1: 'b', 4: 'w', 8: 'd' }[size];
  s.text(`li a1, ${at}\nli a0, 0x73`);
  if (kind === 'fetch') s.attempt(mode, '', BigInt(at));
  else s.attempt(mode, kind === 'load' ? `l${letter} a2, 0(a1)` : `s${letter} a0, 0(a1)`);
  if (allowed) s.expectDone(`${what}: ${kind}`, mode);
  else if (kind === 'fetch') s.expectTrap(`${what}: ${kind}`, { cause: 1, tval: at, epc: at });
  else s.expectTrap(`${what}: ${kind}`, { cause: FAULTS[kind], tval: at });
}

/** Pages filled with calls to the environment, so that any word of them may be fetched. */
function codePages(s: Scenario, count: number): number {
  const at = s.pages(count);
  for (let word = 0; word < count * 4096; word += 8) s.put(at + word, 0x73_0000_0073n);
  return at;
}

const suite = new Suite();

suite.add('permissions of each kind', s => {
  const at = codePages(s, 1);
  for (const bits of [0, R, X, R | W, R | X, R | W | X]) {
    protect(s, [{ config: NAPOT | bits, address: napot(at, 4096) }]);
    for (const mode of ['S', 'U', 'M'] as const) {
      const name = `${mode} with ${bits}`;
      const free = mode === 'M';
      access(s, name, 'load', mode, at, free || (bits & R) !== 0);
      access(s, name, 'fetch', mode, at, free || (bits & X) !== 0);
      access(s, name, 'store', mode, at, free || (bits & W) !== 0);
    }
  }
});

suite.add('write without read is not kept', s => {
  s.write('pmpcfg0', 0x1f02n << 8n);
  s.expectCsr('config', 'pmpcfg0', 0n, { mask: 2n << 8n, qemuDiffers: 'QEMU 7.2 keeps it' });
});

for (const size of [8, 16, 64, 1024, 4096, 65536, 1 << 20]) {
  suite.add(`NAPOT of ${size} bytes`, s => {
    const pages = s.pages(Math.max(2, (3 * size) / 4096));
    const at = Math.ceil(pages / size) * size + (size < 4096 ? 4096 - size : 0);
    protect(s, [{ config: NAPOT, address: napot(at, size) }]);
    const options: [string, number, boolean][] = [
      ['before', at - 4, true],
      ['first', at, false],
      ['last', at + size - 4, false],
      ['behind', at + size, true],
    ];
    for (const [what, where, allowed] of options) {
      access(s, what, 'load', 'S', where, allowed);
      access(s, what, 'store', 'U', where, allowed);
    }
    access(s, 'last byte', 'load', 'S', at + size - 1, false, 1);
    access(s, 'byte before', 'load', 'S', at - 1, true, 1);
  });
}

suite.add('NA4', s => {
  const at = s.pages(1) + 256;
  protect(s, [{ config: NA4, address: granule(at) }]);
  for (const offset of [-4, 0, 4]) access(s, `at ${offset}`, 'load', 'U', at + offset, offset !== 0);
  for (const offset of [-1, 0, 3, 4])
    access(s, `byte at ${offset}`, 'store', 'S', at + offset, offset < 0 || offset > 3, 1);
});

suite.add('TOR', s => {
  const at = s.pages(3);
  const low = at + 0x404;
  const high = at + 0x2808;
  protect(s, [
    { config: 0, address: granule(low) },
    { config: TOR | R, address: granule(high) },
  ]);
  for (const [where, allowed] of [
    [low - 4, true],
    [low, false],
    [at + 4096, false],
    [high - 4, false],
    [high, true],
  ] as const) {
    access(s, `at ${where - at}`, 'store', 'S', where, allowed);
    access(s, `at ${where - at}`, 'load', 'S', where, true);
  }
  // An upper bound that is not above the lower one matches nothing.
  protect(s, [
    { config: 0, address: granule(high) },
    { config: TOR, address: granule(low) },
    { config: TOR, address: granule(low) },
  ]);
  access(s, 'empty', 'load', 'S', at + 4096, true);
});

suite.add('TOR in entry 0 begins at address 0', s => {
  const at = s.pages(1);
  protect(s, [{ config: TOR | R | X, address: granule(at + 64) }]);
  access(s, 'below', 'store', 'S', at + 60, false);
  access(s, 'above', 'store', 'S', at + 64, true);
});

suite.add('the lowest matching entry decides', s => {
  const at = s.pages(1);
  protect(s, [
    { config: NAPOT | R, address: napot(at, 64) },
    { config: NAPOT | R | W, address: napot(at, 128) },
    { config: NAPOT, address: napot(at, 4096) },
  ]);
  access(s, 'first', 'load', 'S', at, true);
  access(s, 'first', 'store', 'S', at, false);
  access(s, 'second', 'store', 'S', at + 64, true);
  access(s, 'third', 'load', 'S', at + 128, false);
});

suite.add('an access must lie in its entry altogether', s => {
  const at = s.pages(1) + 512;
  protect(s, [{ config: NAPOT | R | W | X, address: napot(at, 8) }]);
  access(s, 'inside', 'load', 'S', at, true, 8);
  for (const offset of [-4, 4, -7, 7]) {
    for (const mode of ['S', 'M'] as const) {
      s.text(`li a1, ${at + offset}`)
        .attempt(mode, 'ld a2, 0(a1)')
        .expectSaved(`${mode} ${offset}: cause`, 'cause', 5);
      s.attempt(mode, 'sd a2, 0(a1)').expectSaved(`${mode} ${offset}: cause`, 'cause', 7);
    }
  }
});

suite.add('where nothing matches, only M-mode has access', s => {
  const at = codePages(s, 1);
  // All but the page: below and above.
  protect(
    s,
    [
      { config: TOR | R | W | X, address: granule(at) },
      { config: 0, address: granule(at + 4096) },
      { config: TOR | R | W | X, address: EVERYTHING },
    ],
    false,
  );
  for (const kind of ['load', 'fetch', 'store'] as const) {
    access(s, 'S', kind, 'S', at + 8, false);
    access(s, 'U', kind, 'U', at + 8, false);
    access(s, 'M', kind, 'M', at + 8, true);
    if (kind !== 'fetch') access(s, 'S beside it', kind, 'S', at - 8, true);
  }
});

suite.add('without any entry below M-mode nothing goes', s => {
  s.write('pmpcfg0', 0n).text('sfence.vma');
  const qemuDiffers = 'QEMU 7.2 refuses the MRET instead';
  for (const mode of ['S', 'U'] as const) {
    s.attempt(mode, 'nop').expectSaved(`${mode}: cause`, 'cause', 1, { qemuDiffers });
    s.expectSaved(`${mode}: tval`, 'tval', s.lastAttempt, { qemuDiffers });
  }
  s.attempt('M', 'nop').expectDone('M', 'M');
});

suite.add('a boundary inside a page of code', s => {
  let at = codePages(s, 1);
  protect(s, [{ config: NAPOT | R | W, address: napot(at + 1024, 1024) }]);
  for (const [where, allowed] of [
    [0, true],
    [1020, true],
    [1024, false],
    [2044, false],
    [2048, true],
  ] as const)
    access(s, `at ${where}`, 'fetch', 'S', at + where, allowed);
  // Running into it: the fault is at the boundary.
  at = codePages(s, 1);
  protect(s, [{ config: NAPOT | R | W, address: napot(at + 1024, 1024) }]);
  s.putCode(at + 1016, 'addi a0, a0, 1\naddi a0, a0, 1')
    .text('li a0, 0')
    .attempt('S', '', BigInt(at + 1016));
  s.expectTrap('running into it', {
    cause: 1,
    tval: at + 1024,
    epc: at + 1024,
    qemuDiffers: 'QEMU 7.2 asks PMP only where a block begins',
  }).expect('two executed', 'a0', 2n);
  s.attempt('M', '', BigInt(at + 1016))
    .expectDone('not so M-mode', 'M')
    .expect('two more', 'a0', 4n);
});

suite.add('MPRV takes the rights of MPP', s => {
  const at = s.pages(1);
  protect(s, [{ config: NAPOT, address: napot(at, 4096) }]);
  s.text(`li a1, ${at}`).attempt(
    'M',
    `li t0, 0x1800\ncsrc mstatus, t0\nli t0, ${MPRV}\ncsrs mstatus, t0\nld a0, 0(a1)`,
  );
  s.expectSaved('as U', 'cause', 5)
    .attempt('M', `li t0, ${MPRV | 0x1800n}\ncsrs mstatus, t0\nld a0, 0(a1)`)
    .expectDone('as M', 'M');
});

suite.add('page tables are read and written with the rights of S-mode', s => {
  const tables = s.tables(SV39);
  const frame = s.pages(1);
  const va = 0x1000000000n;
  const leaf = tables.map(va, frame, PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D).entryAddress(va);
  s.useTables(tables).text(`li a1, ${va}`);
  for (const [kind, cause] of [
    ['ld a0, 0(a1)', 5],
    ['sd a0, 0(a1)', 7],
  ] as const) {
    protect(s, []);
    s.attempt('S', kind).expectDone(`${kind} with access`, 'S');
    protect(s, [{ config: NAPOT, address: napot(Math.floor(leaf / 4096) * 4096, 4096) }]);
    s.attempt('S', kind).expectTrap(`${kind} without`, { cause, tval: va });
  }
  s.attempt('S', '', va).expectTrap('fetch without', { cause: 1, tval: va, epc: va });
  // Reading the table is enough as long as A and D need not be set.
  protect(s, [{ config: NAPOT | R, address: napot(Math.floor(leaf / 4096) * 4096, 4096) }]);
  s.attempt('S', 'sd a0, 0(a1)').expectDone('read-only table', 'S');
  s.set('menvcfg', 1n << 61n).text(`li t5, ${leaf}\nld t6, 0(t5)\nandi t6, t6, ${~PTE.D}\nsd t6, 0(t5)\nsfence.vma`);
  s.attempt('S', 'sd a0, 0(a1)');
  const qemuDiffers = 'QEMU 7.2 writes the table whatever PMP says';
  s.expectSaved('setting D in a read-only table: cause', 'cause', 7, { qemuDiffers });
  s.expectSaved('setting D in a read-only table: tval', 'tval', va, { qemuDiffers });
  s.write('satp', 0n);
});

suite.add('a change counts without SFENCE.VMA where there are no page tables', s => {
  const at = s.pages(1);
  s.text(`li a1, ${at}`);
  for (const bits of [R, R | W, 0, R | W | X, R]) {
    s.write('pmpaddr1', EVERYTHING)
      .write('pmpaddr0', napot(at, 4096))
      .write('pmpcfg0', BigInt(0x1f00 | NAPOT | bits));
    s.attempt('U', 'ld a0, 0(a1)').expectSaved(`${bits}: load`, 'cause', bits & R ? 8 : 5);
    s.attempt('U', 'sd a0, 0(a1)').expectSaved(`${bits}: store`, 'cause', bits & W ? 8 : 7);
  }
});

suite.add('what the registers hold', s => {
  s.write('pmpaddr3', 2n ** 64n - 1n).expectCsr('54 bits of address', 'pmpaddr3', EVERYTHING, {
    qemuDiffers: 'QEMU 7.2 keeps 64 bits',
  });
  s.write('pmpcfg2', 0x7f7f7f7f7f7f7f7fn).expectCsr('reserved bits', 'pmpcfg2', 0x1f1f1f1f1f1f1f1fn, {
    qemuDiffers: 'QEMU 7.2 keeps them',
  });
  s.write('pmpcfg2', 0n).expectCsr('cleared', 'pmpcfg2', 0n);
  s.attempt('S', 'csrr a0, pmpcfg0').expectTrap('S-mode', { cause: 2 });
});

suite.define('Physical memory protection');

// A locked entry stays until reset: each of these has a machine of its own.
const locks: readonly [string, (s: Scenario) => void][] = [
  [
    'binds M-mode too',
    s => {
      const at = codePages(s, 1);
      protect(s, [{ config: LOCK | NAPOT | R, address: napot(at, 4096) }]);
      for (const mode of ['M', 'S'] as const) {
        access(s, mode, 'load', mode, at, true);
        access(s, mode, 'store', mode, at, false);
        access(s, mode, 'fetch', mode, at, false);
      }
    },
  ],
  [
    'cannot be changed',
    s => {
      const at = s.pages(1);
      const locked = LOCK | NAPOT | R;
      protect(s, [{ config: locked, address: napot(at, 4096) }]);
      s.write('pmpcfg0', 0x1f00n).expectCsr('configuration', 'pmpcfg0', BigInt(0x1f00 | locked));
      s.write('pmpaddr0', 0n).expectCsr('address', 'pmpaddr0', napot(at, 4096));
      s.write('pmpaddr1', 5n).expectCsr('the next is free', 'pmpaddr1', 5n).write('pmpaddr1', EVERYTHING);
    },
  ],
  [
    'with TOR locks its lower bound',
    s => {
      const at = s.pages(1);
      protect(s, [
        { config: 0, address: granule(at) },
        { config: LOCK | TOR, address: granule(at + 64) },
      ]);
      s.write('pmpaddr0', 0n).expectCsr('lower bound', 'pmpaddr0', granule(at));
      s.write('pmpaddr1', 0n).expectCsr('upper bound', 'pmpaddr1', granule(at + 64));
      access(s, 'M', 'load', 'M', at, false);
      access(s, 'M', 'load', 'M', at + 64, true);
    },
  ],
  [
    'that is off is locked too',
    s => {
      s.write('pmpaddr1', 77n)
        .write('pmpcfg0', BigInt(0x1f | (LOCK << 8)))
        .write('pmpaddr1', 78n);
      s.expectCsr('address', 'pmpaddr1', 77n)
        .write('pmpcfg0', 0x1f1fn)
        .expectCsr('configuration', 'pmpcfg0', BigInt(0x1f | (LOCK << 8)));
      s.attempt('S', 'nop').expectDone('and matches nothing', 'S');
    },
  ],
  [
    'in part of a page',
    s => {
      const at = s.pages(1);
      protect(s, [{ config: LOCK | NAPOT, address: napot(at + 64, 64) }]);
      access(s, 'before', 'store', 'M', at + 60, true);
      access(s, 'in', 'store', 'M', at + 64, false);
      access(s, 'behind', 'store', 'M', at + 128, true);
    },
  ],
];

for (const [what, write] of locks) {
  const alone = new Suite();
  alone.add(what, write);
  alone.define('A locked entry');
}
