/** A run of guest-physical pages. */
export interface PageRange {
  readonly first: number;
  readonly count: number;
}

/** A set of pages as few runs, kept in order and joined where they touch. */
export class PageRanges {
  #list: PageRange[] = [];

  get list(): readonly PageRange[] {
    return this.#list;
  }

  has(page: number): boolean {
    return this.#list.some(({ first, count }) => page >= first && page < first + count);
  }

  /** Whether all of a range is in. */
  covers({ first, count }: PageRange): boolean {
    return count === 0 || this.#list.some(own => first >= own.first && first + count <= own.first + own.count);
  }

  add(range: PageRange): void {
    if (range.count === 0) return;
    let { first } = range;
    let end = first + range.count;
    const apart = this.#list.filter(own => {
      const touches = own.first <= end && own.first + own.count >= first;
      if (touches) {
        first = Math.min(first, own.first);
        end = Math.max(end, own.first + own.count);
      }
      return !touches;
    });
    this.#list = [...apart, { first, count: end - first }].sort((a, b) => a.first - b.first);
  }

  remove({ first, count }: PageRange): void {
    const end = first + count;
    this.#list = this.#list.flatMap(own => {
      const ownEnd = own.first + own.count;
      if (ownEnd <= first || own.first >= end) return [own];
      const before = { first: own.first, count: first - own.first };
      const after = { first: end, count: ownEnd - end };
      return [before, after].filter(part => part.count > 0);
    });
  }

  copy(): PageRanges {
    const ranges = new PageRanges();
    ranges.#list = [...this.#list];
    return ranges;
  }
}
