// The register file of virtio over MMIO, version 2 (virtio 1.2, section 4.2.2), and the device status bits (2.1).

/** `virt` as a little-endian word. */
export const MAGIC = 0x74726976;
export const VERSION = 2;
/** `AIMG`: drivers only show it. */
export const VENDOR = 0x474d4941;

export const REGISTER = {
  MAGIC: 0x000,
  VERSION: 0x004,
  DEVICE_ID: 0x008,
  VENDOR_ID: 0x00c,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SELECT: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SELECT: 0x024,
  QUEUE_SELECT: 0x030,
  QUEUE_SIZE_MAX: 0x034,
  QUEUE_SIZE: 0x038,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  DESCRIPTORS_LOW: 0x080,
  DESCRIPTORS_HIGH: 0x084,
  DRIVER_LOW: 0x090,
  DRIVER_HIGH: 0x094,
  DEVICE_LOW: 0x0a0,
  DEVICE_HIGH: 0x0a4,
  SHARED_MEMORY_LENGTH_LOW: 0x0b0,
  SHARED_MEMORY_LENGTH_HIGH: 0x0b4,
  SHARED_MEMORY_BASE_LOW: 0x0b8,
  SHARED_MEMORY_BASE_HIGH: 0x0bc,
  CONFIG_GENERATION: 0x0fc,
  CONFIG: 0x100,
} as const;

export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
  FAILED: 128,
} as const;

export const INTERRUPT = { USED_BUFFER: 1, CONFIG: 2 } as const;

/** Features of the transport and its queues, as bits of the low feature word (section 6). */
export const RING_INDIRECT = 2 ** 28;
export const RING_EVENT_INDEX = 2 ** 29;
/** The one feature that we offer in the high word. */
export const VERSION_1_HIGH = 1;
