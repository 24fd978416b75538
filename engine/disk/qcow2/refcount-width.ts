// Refcounts of 1 to 64 bits within a block (QEMU docs/interop/qcow2.rst, "Host cluster management").

/** The largest refcount that `bits` can hold and a double can tell exactly. */
export function largestRefcount(bits: number): number {
  return bits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1;
}

/** The refcount at `index` of a block or slice; infinity when it is too large to be told. */
export function getRefcount(view: DataView, index: number, bits: number): number {
  switch (bits) {
    case 8:
      return view.getUint8(index);
    case 16:
      return view.getUint16(index * 2);
    case 32:
      return view.getUint32(index * 4);
    case 64: {
      const value = view.getUint32(index * 8) * 2 ** 32 + view.getUint32(index * 8 + 4);
      return value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value;
    }
    default: {
      // Below a byte the first entry is in the lowest bits.
      const perByte = 8 / bits;
      return (view.getUint8(Math.floor(index / perByte)) >> ((index % perByte) * bits)) & ((1 << bits) - 1);
    }
  }
}

export function setRefcount(view: DataView, index: number, bits: number, value: number): void {
  switch (bits) {
    case 8:
      view.setUint8(index, value);
      return;
    case 16:
      view.setUint16(index * 2, value);
      return;
    case 32:
      view.setUint32(index * 4, value);
      return;
    case 64:
      view.setUint32(index * 8, Math.floor(value / 2 ** 32));
      view.setUint32(index * 8 + 4, value >>> 0);
      return;
    default: {
      const perByte = 8 / bits;
      const at = Math.floor(index / perByte);
      const shift = (index % perByte) * bits;
      const mask = ((1 << bits) - 1) << shift;
      view.setUint8(at, (view.getUint8(at) & ~mask) | (value << shift));
    }
  }
}
