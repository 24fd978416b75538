// Goldfish real-time clock: Android's goldfish virtual hardware document and QEMU's `google,goldfish-rtc`.

/** Nanoseconds since 1970. Reading the low word latches the high one. */
export const TIME_LOW = 0x00;
export const TIME_HIGH = 0x04;
/** Writing the low word arms the alarm, so the high one is written first. */
export const ALARM_LOW = 0x08;
export const ALARM_HIGH = 0x0c;
export const IRQ_ENABLED = 0x10;
export const CLEAR_ALARM = 0x14;
/** 1 while an alarm is armed. */
export const ALARM_STATUS = 0x18;
export const CLEAR_INTERRUPT = 0x1c;
