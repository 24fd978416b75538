import type { StateSink, StateSource } from './bytes.ts';

/**
 * How one field of a section is written and read. Encoded little-endian without padding:
 *
 * | kind | bytes |
 * |---|---|
 * | `u8` `u16` `u32` `u64` | 1, 2, 4, 8; `u64` is a bigint |
 * | `u53` | 8; a number, refused from 2^53 on |
 * | `bool` | 1; 0 or 1, anything else is refused |
 * | `choice` | 1; index into the names |
 * | `bytesOf(n)` | n |
 * | `bytesUpTo(max)`, `text(max)` | u32 length, then that many; text is UTF-8 |
 * | `array(of, n)` | n elements |
 * | `list(of, max)` | u32 count, then that many elements |
 * | `optional(of)` | `bool`, then the value when true |
 * | `struct(fields)` | its fields in order |
 * | `since(version, of, absent)` | as `of`, or nothing in sections written before that version |
 */
export interface Kind<T> {
  put(sink: StateSink, value: T): void;
  get(source: StateSource): T;
}

// `put` is a method so that a Kind of anything is a Kind<unknown> (methods compare bivariantly).
export type Fields = Readonly<Record<string, Kind<unknown>>>;
export type ValueOf<K> = K extends Kind<infer T> ? T : never;
export type ValuesOf<F extends Fields> = { -readonly [Name in keyof F]: ValueOf<F[Name]> };

function unsigned(bits: 8 | 16 | 32): Kind<number> {
  const limit = 2 ** bits;
  const name = `u${bits}` as const;
  return {
    put(sink, value) {
      if (!Number.isInteger(value) || value < 0 || value >= limit) sink.refuse(`is ${value}, not a ${name}`);
      sink[name](value);
    },
    get: source => source[name](),
  };
}

export const u8: Kind<number> = unsigned(8);
export const u16: Kind<number> = unsigned(16);
export const u32: Kind<number> = unsigned(32);

export const u64: Kind<bigint> = {
  put(sink, value) {
    if (typeof value !== 'bigint' || value < 0n || value >= 1n << 64n) sink.refuse(`is ${value}, not a u64`);
    sink.u64(value);
  },
  get: source => source.u64(),
};

/** A non-negative integer that a number holds exactly: sizes, counters, ticks. */
export const u53: Kind<number> = {
  put(sink, value) {
    if (!Number.isSafeInteger(value) || value < 0) sink.refuse(`is ${value}, not a u53`);
    sink.u64(BigInt(value));
  },
  get(source) {
    const value = Number(source.u64());
    return Number.isSafeInteger(value) ? value : source.refuse('is 2^53 or more');
  },
};

export const bool: Kind<boolean> = {
  put(sink, value) {
    if (typeof value !== 'boolean') sink.refuse(`is ${value}, not true or false`);
    sink.u8(value ? 1 : 0);
  },
  get(source) {
    const value = source.u8();
    return value > 1 ? source.refuse(`is ${value}, neither 0 nor 1`) : value === 1;
  },
};

/** One of a closed set of names. New names go to the end, with a new version of the section. */
export function choice<const Names extends readonly string[]>(...names: Names): Kind<Names[number]> {
  return {
    put(sink, value) {
      const index = names.indexOf(value);
      if (index < 0) sink.refuse(`is ${value}, not one of ${names.join(', ')}`);
      sink.u8(index);
    },
    get(source) {
      const index = source.u8();
      return names[index] ?? source.refuse(`is choice ${index} of ${names.length}`);
    },
  };
}

const BYTE_ORDER_MARK = '\ufeff';

/** Exactly `count` bytes. */
export function bytesOf(count: number): Kind<Uint8Array> {
  return {
    put(sink, value) {
      if (value.length !== count) sink.refuse(`has ${value.length} bytes, not ${count}`);
      sink.bytes(value);
    },
    get: source => source.bytes(count),
  };
}

export function bytesUpTo(max: number): Kind<Uint8Array> {
  return {
    put(sink, value) {
      if (value.length > max) sink.refuse(`has ${value.length} bytes, more than ${max}`);
      sink.u32(value.length);
      sink.bytes(value);
    },
    get(source) {
      const count = source.u32();
      return count > max ? source.refuse(`has ${count} bytes, more than ${max}`) : source.bytes(count);
    },
  };
}

/** Text of at most `max` bytes in UTF-8. */
export function text(max: number): Kind<string> {
  const bytes = bytesUpTo(max);
  return {
    put(sink, value) {
      if (!value.isWellFormed() || value.startsWith(BYTE_ORDER_MARK)) sink.refuse('is not text that UTF-8 keeps');
      bytes.put(sink, new TextEncoder().encode(value));
    },
    get(source) {
      const encoded = bytes.get(source);
      // The decoder would drop a leading mark, and the text would not be what was stored.
      if (encoded[0] === 0xef && encoded[1] === 0xbb && encoded[2] === 0xbf) {
        source.refuse('starts with a byte order mark');
      }
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(encoded);
      } catch {
        return source.refuse('is not UTF-8');
      }
    },
  };
}

function putAll<T>(sink: StateSink, of: Kind<T>, values: readonly T[]): void {
  for (const [index, value] of values.entries()) {
    sink.path.enter(index);
    of.put(sink, value);
    sink.path.leave();
  }
}

function getAll<T>(source: StateSource, of: Kind<T>, count: number): T[] {
  const values: T[] = [];
  for (let index = 0; index < count; index += 1) {
    source.path.enter(index);
    values.push(of.get(source));
    source.path.leave();
  }
  return values;
}

/** Exactly `count` elements. */
export function array<T>(of: Kind<T>, count: number): Kind<readonly T[]> {
  return {
    put(sink, values) {
      if (values.length !== count) sink.refuse(`has ${values.length} elements, not ${count}`);
      putAll(sink, of, values);
    },
    get: source => getAll(source, of, count),
  };
}

export function list<T>(of: Kind<T>, max: number): Kind<readonly T[]> {
  return {
    put(sink, values) {
      if (values.length > max) sink.refuse(`has ${values.length} elements, more than ${max}`);
      sink.u32(values.length);
      putAll(sink, of, values);
    },
    get(source) {
      const count = source.u32();
      return count > max ? source.refuse(`has ${count} elements, more than ${max}`) : getAll(source, of, count);
    },
  };
}

/** A value or `undefined`. */
export function optional<T>(of: Kind<T>): Kind<T | undefined> {
  return {
    put(sink, value) {
      sink.u8(value === undefined ? 0 : 1);
      if (value !== undefined) of.put(sink, value);
    },
    get: source => (bool.get(source) ? of.get(source) : undefined),
  };
}

export function struct<F extends Fields>(fields: F): Kind<ValuesOf<F>> {
  const entries = Object.entries(fields);
  return {
    put(sink, value) {
      for (const [name, kind] of entries) {
        sink.path.enter(name);
        kind.put(sink, value[name]);
        sink.path.leave();
      }
    },
    get(source) {
      const value: Record<string, unknown> = {};
      for (const [name, kind] of entries) {
        source.path.enter(name);
        value[name] = kind.get(source);
        source.path.leave();
      }
      // Each name was just read by the kind that gives it its type.
      return value as ValuesOf<F>;
    },
  };
}

/** A field that sections before `version` lack; reading one of those gives `absent`. */
export function since<T>(version: number, of: Kind<T>, absent: T): Kind<T> {
  return {
    put: (sink, value) => of.put(sink, value),
    get: source => (source.version < version ? absent : of.get(source)),
  };
}
