import type { AccessWidth, MmioDevice } from '../../device.ts';
import { MAGIC, REGISTER, VENDOR, VERSION } from './registers.ts';

/** A virtio-mmio window without a device: device id 0 tells drivers to pass by (virtio 1.2, section 4.2.2). */
export class EmptySlot implements MmioDevice {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  read(offset: number, width: AccessWidth): number {
    if (width !== 4) return 0;
    if (offset === REGISTER.MAGIC) return MAGIC;
    if (offset === REGISTER.VERSION) return VERSION;
    return offset === REGISTER.VENDOR_ID ? VENDOR : 0;
  }

  write(): void {}

  reset(): void {}
}
