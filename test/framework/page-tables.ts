import { RAM_BASE } from '../../engine/core/core.ts';

const PAGE = 4096;

/** Bits of a page-table entry (privileged specification 4.3.1). */
export const PTE = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;

/** Levels of page tables, and the satp mode that stands for them. */
export const SV39 = { levels: 3, mode: 8n } as const;
export const SV48 = { levels: 4, mode: 9n } as const;
export type Scheme = typeof SV39 | typeof SV48;

/** Builds page tables in an image of RAM. Tables are taken one after the other from `at` on; the first is the root. */
export class PageTables {
  readonly #view: DataView;
  readonly #scheme: Scheme;
  readonly #root: number;
  #next: number;

  /** @param at guest-physical address, page aligned, of the space for tables */
  constructor(image: Uint8Array, at: number, scheme: Scheme) {
    this.#view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    this.#scheme = scheme;
    this.#root = at;
    this.#next = at + PAGE;
  }

  /** The value of satp that selects these tables. */
  get satp(): bigint {
    return (this.#scheme.mode << 60n) | BigInt(this.#root / PAGE);
  }

  /** First address after the tables used so far. */
  get end(): number {
    return this.#next;
  }

  /** Guest-physical address of the entry for `va` at a level (0 the last), making the tables above it as needed. */
  entryAddress(va: bigint, level = 0): number {
    let table = this.#root;
    for (let at = this.#scheme.levels - 1; at > level; at--) {
      const entry = table + this.#index(va, at) * 8;
      const value = this.read(entry);
      if (value === 0n) {
        this.write(entry, (BigInt(this.#next / PAGE) << 10n) | BigInt(PTE.V));
        table = this.#next;
        this.#next += PAGE;
      } else {
        if ((value & 0xen) !== 0n) throw new Error('A larger page is in the way');
        table = Number((value >> 10n) & 0xfffffffffffn) * PAGE;
      }
    }
    return table + this.#index(va, level) * 8;
  }

  /** Maps one page; level 1 is 2 MiB, level 2 is 1 GiB. Nothing is checked: tests want wrong entries too. */
  map(va: bigint, pa: number, flags: number, level = 0): this {
    this.write(this.entryAddress(va, level), (BigInt(Math.floor(pa / PAGE)) << 10n) | BigInt(flags));
    return this;
  }

  read(entry: number): bigint {
    return this.#view.getBigUint64(entry - RAM_BASE, true);
  }

  write(entry: number, value: bigint): void {
    this.#view.setBigUint64(entry - RAM_BASE, BigInt.asUintN(64, value), true);
  }

  #index(va: bigint, level: number): number {
    return Number((va >> BigInt(12 + 9 * level)) & 511n);
  }
}
