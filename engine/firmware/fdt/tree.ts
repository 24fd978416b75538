import { AfterimageError } from '../../base/errors.ts';

/** A cell is 32 bits, or a node, which stands for that node's phandle. */
export type Cell = number | TreeNode;

export type PropertyValue =
  | { readonly kind: 'cells'; readonly cells: readonly Cell[] }
  | { readonly kind: 'texts'; readonly texts: readonly string[] }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

// Devicetree Specification 0.4, 2.2.1 and 2.2.4.
const NODE_NAME = /^[a-zA-Z0-9,._+-]{1,31}(@[a-zA-Z0-9,._+-]{1,31})?$/;
const PROPERTY_NAME = /^[a-zA-Z0-9,._+?#-]{1,31}$/;

/** A 64-bit number as the two cells that `#address-cells = <2>` wants. */
export function wideCells(value: number): [number, number] {
  return [Math.floor(value / 2 ** 32), value % 2 ** 32];
}

/**
 * A device tree under construction. Properties and children keep the order in which they are added. Every mistake
 * here is ours, so it is an AfterimageError of kind `internal`.
 */
export class TreeNode {
  readonly name: string;
  readonly #properties = new Map<string, PropertyValue>();
  readonly #children: TreeNode[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  static root(): TreeNode {
    return new TreeNode('');
  }

  get properties(): ReadonlyMap<string, PropertyValue> {
    return this.#properties;
  }

  get children(): readonly TreeNode[] {
    return this.#children;
  }

  /** Adds a child and returns it. */
  child(name: string): TreeNode {
    if (!NODE_NAME.test(name)) this.#refuse(`a child cannot be named ${JSON.stringify(name)}`);
    if (this.#children.some(child => child.name === name)) this.#refuse(`there are two children ${name}`);
    const child = new TreeNode(name);
    this.#children.push(child);
    return child;
  }

  /** A property without a value: its presence is the statement. */
  flag(name: string): this {
    return this.#set(name, { kind: 'cells', cells: [] });
  }

  /** 32-bit numbers and references to nodes. */
  cells(name: string, ...cells: readonly Cell[]): this {
    for (const cell of cells) {
      if (typeof cell === 'number' && (!Number.isInteger(cell) || cell < 0 || cell >= 2 ** 32)) {
        this.#refuse(`${name} has the cell ${cell}`);
      }
    }
    return this.#set(name, { kind: 'cells', cells });
  }

  /** 64-bit numbers below 2^53, two cells each. */
  wide(name: string, ...values: readonly number[]): this {
    return this.cells(name, ...values.flatMap(wideCells));
  }

  /** One or more texts, each closed by a zero byte. */
  texts(name: string, ...texts: readonly string[]): this {
    if (texts.some(text => text.includes('\0'))) this.#refuse(`${name} has a zero byte`);
    return this.#set(name, { kind: 'texts', texts });
  }

  bytes(name: string, bytes: Uint8Array): this {
    return this.#set(name, { kind: 'bytes', bytes });
  }

  #set(name: string, value: PropertyValue): this {
    if (!PROPERTY_NAME.test(name)) this.#refuse(`a property cannot be named ${JSON.stringify(name)}`);
    if (this.#properties.has(name)) this.#refuse(`${name} is set twice`);
    this.#properties.set(name, value);
    return this;
  }

  #refuse(what: string): never {
    throw new AfterimageError('internal', `Device tree node ${this.name || '/'} is wrong: ${what}`, {
      node: this.name || '/',
    });
  }
}
