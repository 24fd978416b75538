/** Main module of an engine process with a small machine in it. */
export const SMALL_PROCESS = new URL('./small-process.ts', import.meta.url);
