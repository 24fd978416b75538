import type { AccessWidth, MmioDevice } from '../devices/device.ts';

/** The boot ROM. Reads give its bytes, zero after their end; writes are ignored. */
export class Rom implements MmioDevice {
  readonly name = 'rom';
  #bytes: Uint8Array = new Uint8Array(0);

  /** Puts another content in: a new start has a new reset vector. */
  load(bytes: Uint8Array): void {
    this.#bytes = bytes;
  }

  read(offset: number, width: AccessWidth): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i -= 1) value = value * 256 + (this.#bytes[offset + i] ?? 0);
    return value;
  }

  write(): void {}

  reset(): void {}
}
