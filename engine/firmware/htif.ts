// The host-target interface of Berkeley's RISC-V tools, as bare-metal programs and compliance suites use it: two
// 64-bit words in RAM, `tohost` and `fromhost`. The program writes a request to `tohost` and waits until the host has
// cleared it; an answer, if any, comes in `fromhost`, which the program clears.
//
// | bits of a word | meaning |
// |---|---|
// | 56-63 | device: 0 is the system, 1 the console |
// | 48-55 | command |
// | 0-47 | payload |
//
// A program may store `tohost` as two 32-bit halves, lower half first. Whoever watches the word must therefore look
// at it between instructions' worth of stores (at a poll, or after the store to the upper half), not after each store.

import { u64 } from './bytes.ts';

/** A value of `tohost`, decoded. */
export type HtifRequest =
  | { readonly kind: 'none' }
  | { readonly kind: 'exit'; readonly code: number }
  /** `at` is the guest-physical address of eight 64-bit words: the call's number, then its arguments. */
  | { readonly kind: 'system-call'; readonly at: number }
  | { readonly kind: 'console-read' }
  | { readonly kind: 'console-write'; readonly byte: number }
  | { readonly kind: 'unknown'; readonly device: number; readonly command: number };

const DEVICE_SYSTEM = 0;
const DEVICE_CONSOLE = 1;
const COMMAND_SYSTEM_CALL = 0;
const COMMAND_CONSOLE_READ = 0;
const COMMAND_CONSOLE_WRITE = 1;
/** The console's answers carry this bit beside the byte. */
const CONSOLE_VALID = 0x100n;

export function decodeToHost(value: bigint): HtifRequest {
  if (value === 0n) return { kind: 'none' };
  const device = Number((value >> 56n) & 0xffn);
  const command = Number((value >> 48n) & 0xffn);
  const payload = Number(BigInt.asUintN(48, value));
  if (device === DEVICE_SYSTEM && command === COMMAND_SYSTEM_CALL) {
    return payload % 2 === 1 ? { kind: 'exit', code: (payload - 1) / 2 } : { kind: 'system-call', at: payload };
  }
  if (device === DEVICE_CONSOLE && command === COMMAND_CONSOLE_READ) return { kind: 'console-read' };
  if (device === DEVICE_CONSOLE && command === COMMAND_CONSOLE_WRITE) {
    return { kind: 'console-write', byte: payload & 0xff };
  }
  return { kind: 'unknown', device, command };
}

/** What the host does about a request. In every case it first sets `tohost` to 0. */
export interface HtifAnswer {
  /** The program has ended with this code. */
  readonly exit?: number;
  /** To be stored in `fromhost`. */
  readonly fromHost?: bigint;
  /** The program waits for a byte: store `consoleInput(byte)` in `fromhost` when there is one. */
  readonly wantsInput?: boolean;
  /** The program did what nobody answers: for the guest error counter. One of a few fixed texts. */
  readonly guestError?: string;
}

/** What requests need of the machine. Memory is guest-physical; both methods refuse what is not wholly RAM. */
export interface HtifServices {
  read(at: number, into: Uint8Array): boolean;
  write(at: number, from: Uint8Array): boolean;
  /** Takes the bytes; a program cannot be told that there is no room, so the machine holds it until there is. */
  print(bytes: Uint8Array): void;
}

/** The `fromhost` word that carries a byte from the console. */
export function consoleInput(byte: number): bigint {
  return (BigInt(DEVICE_CONSOLE) << 56n) | (BigInt(COMMAND_CONSOLE_READ) << 48n) | CONSOLE_VALID | BigInt(byte & 0xff);
}

export function answerToHost(value: bigint, services: HtifServices): HtifAnswer {
  const request = decodeToHost(value);
  switch (request.kind) {
    case 'none':
      return {};
    case 'exit':
      return { exit: request.code };
    case 'console-read':
      return { wantsInput: true };
    case 'console-write':
      services.print(Uint8Array.of(request.byte));
      return { fromHost: (value & (0xffffn << 48n)) | CONSOLE_VALID | BigInt(request.byte) };
    case 'system-call':
      return systemCall(request.at, services);
    case 'unknown':
      return { guestError: 'HTIF request for a device or command that is not there' };
  }
}

/** Numbers of Linux's RISC-V system calls. */
const SYSTEM_CALL_WRITE = 64n;
const WORDS = 8;
const STANDARD_OUTPUT = 1n;
const STANDARD_ERROR = 2n;
const EBADF = -9n;
const EFAULT = -14n;
const ENOSYS = -38n;
/** Printed in pieces of this size; a larger write is refused as a whole (it is no program's console output). */
const PIECE = 4096;
const LONGEST_WRITE = 2 ** 20;

function systemCall(at: number, services: HtifServices): HtifAnswer {
  const block = new Uint8Array(WORDS * 8);
  if (at % 8 !== 0 || !services.read(at, block)) {
    return { guestError: 'HTIF system call whose arguments are not in RAM' };
  }
  const number = u64(block, 0);
  const known = number === SYSTEM_CALL_WRITE;
  const result = known ? write(u64(block, 8), u64(block, 16), u64(block, 24), services) : ENOSYS;
  const answer = new Uint8Array(8);
  new DataView(answer.buffer).setBigInt64(0, result, true);
  services.write(at, answer);
  // The program waits for `fromhost`, whatever became of its call.
  return known ? { fromHost: 1n } : { fromHost: 1n, guestError: 'HTIF system call that is not offered' };
}

function write(file: bigint, address: bigint, length: bigint, services: HtifServices): bigint {
  if (file !== STANDARD_OUTPUT && file !== STANDARD_ERROR) return EBADF;
  if (length > LONGEST_WRITE) return EFAULT;
  const at = Number(address);
  for (let done = 0; done < Number(length); done += PIECE) {
    const bytes = new Uint8Array(Math.min(PIECE, Number(length) - done));
    if (!services.read(at + done, bytes)) return done === 0 ? EFAULT : BigInt(done);
    services.print(bytes);
  }
  return length;
}
