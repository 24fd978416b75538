// What the compiled core offers: running, the slow-path services that devices and the memory manager need, and the
// layout of everything in memory.
export * from './layout';
export { begin, run, settle, RAN_BUDGET, RAN_STOP, RAN_WAITING } from './run';
export { copyFrame, frameForStore, frameOf, written } from './memory';
export { beginEpoch, flushAll, peekFetch } from './mmu';
export { dropAll, dropFrame, dropStale, forgetFrame } from './code';
export { csrsChanged, readCsr, writeCsr } from './csr';
export { pendingInterrupts } from './trap';
