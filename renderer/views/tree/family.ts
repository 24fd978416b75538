// Who comes after whom among listed checkpoints. Takes any input: unknown parents count as none, circles end.

export interface Member {
  readonly id: string;
  readonly parent?: string;
}

export class Family<M extends Member> {
  readonly #members: ReadonlyMap<string, M>;
  readonly #children = new Map<string, M[]>();

  /** Children come in the order of `members`. */
  constructor(members: readonly M[]) {
    this.#members = new Map(members.map(member => [member.id, member]));
    for (const member of this.#members.values()) {
      if (member.parent === undefined || !this.#members.has(member.parent)) continue;
      const children = this.#children.get(member.parent);
      if (children === undefined) this.#children.set(member.parent, [member]);
      else children.push(member);
    }
  }

  get(id: string | undefined): M | undefined {
    return id === undefined ? undefined : this.#members.get(id);
  }

  parentOf(id: string): M | undefined {
    return this.get(this.#members.get(id)?.parent);
  }

  childrenOf(id: string): readonly M[] {
    return this.#children.get(id) ?? [];
  }

  /** From its parent up to the root. */
  *ancestorsOf(id: string): Generator<M, void, undefined> {
    const met = new Set<string>([id]);
    for (let next = this.parentOf(id); next !== undefined && !met.has(next.id); next = this.parentOf(next.id)) {
      met.add(next.id);
      yield next;
    }
  }

  /** It and all that come after it. */
  subtreeOf(id: string): readonly M[] {
    const root = this.#members.get(id);
    if (root === undefined) return [];
    const found = new Set<M>([root]);
    for (const member of found) for (const child of this.childrenOf(member.id)) found.add(child);
    return [...found];
  }

  /** 1 for one without a parent. */
  levelOf(id: string): number {
    return [...this.ancestorsOf(id)].length + 1;
  }
}
